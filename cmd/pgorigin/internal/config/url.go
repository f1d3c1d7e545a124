package config

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/pgurl"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// urlPassword is the value of AUTH_PASSWORD_FILE that means the password in UPSTREAM_URL.
const urlPassword = "UPSTREAM_URL"

// connectionURL is for URLs. People see them without user and password.
func connectionURL() Type {
	return Type{Name: "URL", parse: func(value string) (string, error) {
		u, err := pgurl.Parse(value)
		if err != nil {
			return "", err
		}
		return u.Redacted(), nil
	}}
}

// urlSettings is what becomes of a URL.
type urlSettings struct {
	values     map[string]string // by word; with an empty value, the variable is not to have one
	parameters map[string]string // by word: where the URL has what the value repeats; "" is the host
	notes      []note
}

// note says what is odd about a URL. Its template is for Origin.Fill, and first has the name of the URL.
type note struct {
	template string
	data     []string
}

// urlRules say what a URL may have.
type urlRules struct {
	given    func(word string) bool // whether a variable has a value besides
	wins     func(word string) bool // whether a variable has a value that comes before that of the URL
	hosts    bool                   // there may be several
	relative bool                   // the path of a file may be relative
}

// settings returns what becomes of u. An error is a template for Origin.Fill.
func (r urlRules) settings(u *pgurl.URL) (urlSettings, error) {
	s := urlSettings{map[string]string{}, map[string]string{}, nil}
	for _, name := range []string{"service", "servicefile"} {
		if u.Parameter(name) != "" {
			return s, template(name + " is about a file of libpq, which pgorigin does not read; write the host " +
				"and the certificates of the service into the URL")
		}
	}
	if err := r.readHosts(&s, u); err != nil {
		return s, err
	}
	if err := r.readFiles(&s, u); err != nil {
		return s, err
	}
	if err := checkWords(u); err != nil {
		return s, err
	}
	s.take("TLS_NEGOTIATION", "sslnegotiation", u.Parameter("sslnegotiation"))
	switch version := u.Parameter("ssl_min_protocol_version"); strings.ToLower(version) {
	case "tlsv1", "tlsv1.1", "tlsv1.2": // none is weaker than the default
	default:
		s.take("TLS_MIN_VERSION", "ssl_min_protocol_version", version)
	}
	r.readMode(&s, u)
	r.readLogin(&s, u)
	r.noteOthers(&s, u)
	return s, nil
}

// checkWords refuses a value that libpq refuses.
func checkWords(u *pgurl.URL) error {
	for _, parameter := range []string{"sslmode", "channel_binding"} {
		value := u.Parameter(parameter)
		if value == "" {
			continue
		}
		if err := CheckLibpq(parameter, value); err != nil {
			return literal(fmt.Sprintf("%s in the URL is %s: %v", parameter, safetext.Quote(value), err))
		}
	}
	return nil
}

// take takes the value of a parameter over as it is, if there is one.
func (s *urlSettings) take(word, parameter, value string) {
	if value != "" {
		s.values[word], s.parameters[word] = value, parameter
	}
}

func (s *urlSettings) note(template string, data ...string) {
	s.notes = append(s.notes, note{template, data})
}

// readHosts reads where the URL leads. If there is a hostaddr, it is where the host is, and the certificate
// must have the name of the host.
func (r urlRules) readHosts(s *urlSettings, u *pgurl.URL) error {
	addresses := u.Addresses()
	if len(addresses) > 1 && !r.hosts {
		return template(fmt.Sprintf("expected one host, and the URL has %d; keep one, or set "+
			"{own:UPSTREAM_ADDR} to the list instead of the URL", len(addresses)))
	}
	var list []string
	for _, a := range addresses {
		switch {
		case a.IsSocket() && a.Host == "":
			return template("the URL has no host; write postgres://host:5432")
		case a.IsSocket():
			return template("the URL leads to a Unix socket, which has no TLS; name the host of the server")
		}
		if a.IP != "" {
			if _, err := netip.ParseAddr(a.IP); err != nil {
				return template("hostaddr in the URL is no IP address; leave it out, and pgorigin looks the host up")
			}
		}
		if err := checkHost(cmp.Or(a.Host, a.IP)); err != nil {
			return literal(err.Error() + "; correct the host in the URL")
		}
		list = append(list, net.JoinHostPort(cmp.Or(a.IP, a.Host), a.Port))
	}
	s.take("UPSTREAM_ADDR", "", strings.Join(list, ","))
	if first := addresses[0]; len(addresses) == 1 && first.IP != "" {
		s.take("TLS_SERVER_NAME", "host", first.Host)
	}
	return nil
}

// literal returns an error for Origin.Fill whose text has no names of variables.
func literal(text string) error {
	return template(strings.NewReplacer("{", "(", "}", ")").Replace(text))
}

// readFiles reads the names of files.
func (r urlRules) readFiles(s *urlSettings, u *pgurl.URL) error {
	if u.Parameter("sslcrldir") != "" && !r.wins("TLS_CRL_FILE") {
		return template("sslcrldir in the URL is a folder, and pgorigin reads one file; put all lists into " +
			"one file, and name that in sslcrl or in {own:TLS_CRL_FILE}")
	}
	for _, file := range []struct{ parameter, word string }{
		{"sslrootcert", "TLS_CA_FILE"},
		{"sslcert", "TLS_CERT_FILE"},
		{"sslkey", "TLS_KEY_FILE"},
		{"sslcrl", "TLS_CRL_FILE"},
	} {
		path := u.Parameter(file.parameter)
		switch {
		case path == "":
		case file.parameter == "sslrootcert" && path == "system":
			s.values["TLS_CA_FILE"], s.values["TLS_CA_PEM"] = "", ""
		case !r.relative && !filepath.IsAbs(path):
			return literal(fmt.Sprintf("%s in the URL is the relative path %s; write it in full, such as /etc/ssl/%s",
				file.parameter, safetext.Quote(path), safetext.Printable(filepath.Base(path))))
		default:
			s.take(file.word, file.parameter, path)
		}
	}
	return nil
}

// readMode reads sslmode, and ssl as other drivers have it. It never makes verification weaker than the URL
// asks for, and says so if it is stricter.
func (r urlRules) readMode(s *urlSettings, u *pgurl.URL) {
	parameter, mode := "sslmode", strings.ToLower(u.Parameter("sslmode"))
	if mode == "" {
		parameter, mode = "ssl", u.Parameter("ssl")
	}
	ownCA := s.values["TLS_CA_FILE"] != "" || r.given("TLS_CA_FILE") || r.given("TLS_CA_PEM")
	if _, system := s.values["TLS_CA_PEM"]; system {
		ownCA = false
	}
	switch {
	case mode == "":
		return
	case mode == VerifyCA && ownCA:
		s.values["TLS_VERIFY"] = VerifyCA
		return
	}
	s.values["TLS_VERIFY"] = verifyFull
	switch {
	case r.given("TLS_VERIFY"), mode == verifyFull, parameter == "ssl" && mode == "true":
	case mode == VerifyCA:
		s.note("{} has sslmode=verify-ca without sslrootcert; pgorigin verifies the name, too (verify-full), and " +
			"trusts the system roots")
	default:
		s.note("{} has {}={}, which verifies less; pgorigin verifies the certificate chain and the name "+
			"(verify-full)", parameter, safetext.Printable(mode))
	}
}

// readLogin reads what a client demands of the login. Only a bridge can bind a login to TLS.
func (r urlRules) readLogin(s *urlSettings, u *pgurl.URL) {
	s.take("AUTH_REQUIRE", "require_auth", u.Parameter("require_auth"))
	if strings.EqualFold(u.Parameter("channel_binding"), "require") {
		s.values["AUTH_CHANNEL_BINDING"], s.values["AUTH_REQUIRE"] = "bridge", "scram-sha-256-plus"
		delete(s.parameters, "AUTH_REQUIRE")
	}
}

// maxNames bounds a list of names in a note.
const maxNames = 12

// noteOthers names the parameters that are not taken over.
func (r urlRules) noteOthers(s *urlSettings, u *pgurl.URL) {
	known := []string{
		"user", "password", "dbname", "host", "port", "hostaddr", "sslmode", "ssl", "sslrootcert", "sslcert",
		"sslkey", "sslcrl", "sslcrldir", "sslnegotiation", "ssl_min_protocol_version", "channel_binding",
		"require_auth",
	}
	if u.Parameter("gssencmode") != "require" {
		known = append(known, "gssencmode") // the others do not insist on it
	}
	names := u.Names(known...)
	if len(names) > maxNames {
		names = append(names[:maxNames], "…")
	}
	if len(names) > 0 {
		s.note("from {}, pgorigin does not take over: {}", strings.Join(names, ", "))
	}
}

// takeURL replaces UPSTREAM_URL by the settings that it means. A variable that is set for this origin itself
// wins, and one that is inherited does not. From then on, nothing in o has the password, unless a bridge is to
// use it. home is the home directory, where libpq has files.
func (o *Origin) takeURL(home string) []finding {
	text, ok := o.given["UPSTREAM_URL"]
	if !ok {
		return nil
	}
	u, err := pgurl.Parse(text)
	if err != nil {
		delete(o.given, "UPSTREAM_URL")
		return []finding{{word: "UPSTREAM_URL", text: "{}", detail: err.Error()}}
	}
	o.given["UPSTREAM_URL"] = u.Redacted()
	if o.sets("UPSTREAM_ADDR") {
		return []finding{{
			word: "UPSTREAM_URL", text: "{own:UPSTREAM_ADDR} is set, too, and both say where the upstream is; unset one",
		}}
	}
	s, err := urlRules{given: o.has, wins: o.sets}.settings(u)
	if err != nil {
		return []finding{parseFinding("UPSTREAM_URL", "", err)}
	}
	o.take(s)
	for _, n := range s.notes {
		o.urlNotes = append(o.urlNotes, o.Fill(n.template, append([]string{o.own("UPSTREAM_URL")}, n.data...)...))
	}
	o.noteFilesOfLibpq(home, s)
	user, database := u.User(), u.Database()
	o.urlAccount = func() (string, string) { return user, database }
	if password := u.Password(); password != "" && o.given["AUTH_PASSWORD_FILE"] == urlPassword {
		o.urlPassword = func() (string, error) { return password, nil }
	}
	return nil
}

// has reports whether a variable has a value, of this origin or inherited.
func (o *Origin) has(word string) bool {
	_, given := o.given[word]
	return given
}

// Account returns the user and the database in UPSTREAM_URL. Both may be empty.
func (o *Origin) Account() (user, database string) {
	if o.urlAccount == nil {
		return "", ""
	}
	return o.urlAccount()
}

// sets reports whether a variable is set for this origin itself.
func (o *Origin) sets(word string) bool {
	return o.has(word) && !o.inherited[word]
}

// take puts the settings of the URL among those that are given.
func (o *Origin) take(s urlSettings) {
	o.fromURL = map[string]string{}
	if o.sets("AUTH_CHANNEL_BINDING") && o.given["AUTH_CHANNEL_BINDING"] != "bridge" &&
		s.values["AUTH_CHANNEL_BINDING"] != "" {
		delete(s.values, "AUTH_REQUIRE") // no other way can bind
	}
	set := map[string]bool{}
	for word := range o.given {
		set[word] = o.sets(word)
	}
	for _, v := range originVariables() {
		value, ok := s.values[v.Word]
		if !ok || set[v.Word] || set[v.Unless] {
			continue
		}
		o.drop(v.Word)
		if value == "" {
			continue
		}
		o.given[v.Word], o.fromURL[v.Word] = value, ""
		if parameter, repeats := s.parameters[v.Word]; repeats {
			o.fromURL[v.Word] = strings.TrimPrefix(parameter+" in "+o.own("UPSTREAM_URL"), " in ")
		}
	}
	for _, v := range originVariables() {
		if _, taken := o.fromURL[v.Unless]; taken && o.inherited[v.Word] {
			o.drop(v.Word)
		}
	}
}

// drop forgets an inherited value.
func (o *Origin) drop(word string) {
	delete(o.given, word)
	if o.inherited[word] {
		o.inherited[word] = false
	}
}

// noteFilesOfLibpq names the files that libpq takes although no URL names them.
func (o *Origin) noteFilesOfLibpq(home string, s urlSettings) {
	if home == "" {
		return
	}
	for _, file := range []struct{ name, word string }{
		{"root.crt", "TLS_CA_FILE"}, {"postgresql.crt", "TLS_CERT_FILE"}, {"root.crl", "TLS_CRL_FILE"},
	} {
		path := filepath.Join(home, ".postgresql", file.name)
		_, said := s.values[file.word]
		v, _ := Lookup(file.word)
		if _, err := os.Stat(path); err != nil || said || o.has(v.Word) || o.has(v.Unless) {
			continue
		}
		o.urlNotes = append(o.urlNotes, o.Fill("libpq would use {} with {}; pgorigin uses it only if you set {own:"+
			file.word+"}", safetext.Quote(path), o.own("UPSTREAM_URL")))
	}
}
