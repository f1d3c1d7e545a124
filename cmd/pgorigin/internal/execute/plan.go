package execute

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/pgurl"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
)

// plan says what the sidecar is to serve, and which variables of the application lead there.
type plan struct {
	env      []string          // of the sidecar; places add the addresses
	child    []string          // of the command, before anything is changed
	names    map[string]string // of variables that the user has not set, by those in env: what they are made of
	listen   Listen
	keepHost bool      // PGHOST leads to another server, and stays
	origins  []*origin // that the application connects to, the unnamed one first
	urls     []link
	warnings []config.Warning
}

// origin is an upstream of the application.
type origin struct {
	prefix string         // begins its variables
	key    string         // tells it from others
	url    *pgurl.URL     // that it is made of; nil: none
	listen string         // LISTEN_ADDR, if that is set
	bound  *config.Origin // what the variables say
}

// link is a variable of the application with a URL.
type link struct {
	variable string
	url      *pgurl.URL
	origin   *origin
}

// newPlan reads the variables of the application. If anything is wrong, it returns every problem.
func newPlan(env []string, o Options) (*plan, []config.Problem) {
	p := &plan{env: settings(env), child: env, names: map[string]string{}, listen: o.Listen}
	p.origins = []*origin{{prefix: config.Prefix}}
	given := isSet(env, config.Prefix+"UPSTREAM_ADDR") || isSet(env, config.Prefix+"UPSTREAM_URL")
	problems := p.readURLs(env, o, given)
	if !given && len(p.urls) > 0 {
		p.addOrigins(env)
	}
	if !given && len(p.urls) == 0 && len(problems) == 0 {
		problems = append(problems, noUpstream(o))
	}
	problems = append(problems, p.takeOver(env)...)
	if len(problems) > 0 {
		config.SortProblems(problems)
		return nil, problems
	}
	problems = p.load()
	if given {
		p.match()
	}
	p.matchHost(env)
	return p, problems
}

// settings returns the variables of the sidecar that are for it in env, with defaults of its own: two
// commands may run at once, and their output is what counts. When the sidecar ends, the command decides. What
// it leaves behind may not delay its next start for long.
func settings(env []string) []string {
	var own []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		switch word, _ := strings.CutPrefix(name, config.Prefix); word {
		case "SHUTDOWN_DELAY", "EXIT_WHEN_IDLE":
		default:
			own = append(own, entry)
		}
	}
	for _, fallback := range []string{"LOG_LEVEL=warn", "HEALTH_ADDR=off", "SHUTDOWN_TIMEOUT=5s"} {
		word, _, _ := strings.Cut(fallback, "=")
		if !isSet(env, config.Prefix+word) {
			own = append(own, config.Prefix+fallback)
		}
	}
	return own
}

func isSet(env []string, name string) bool { return strings.TrimSpace(host.Getenv(env, name)) != "" }

// noUpstream is the problem of an application that does not say where its database is.
func noUpstream(o Options) config.Problem {
	return config.Problem{
		Variable: config.Prefix + "UPSTREAM_ADDR", Unset: true,
		Text: "expected the address of the database here, or its URL in " +
			strings.Join(append(slices.Clone(o.URLEnv), config.Prefix+"UPSTREAM_URL"), " or ") +
			`; pgorigin does not read PGHOST: set PGORIGIN_UPSTREAM_ADDR="$PGHOST:$PGPORT" if it has the database`,
	}
}

// readURLs parses the variables that may have a URL. Those that nobody has named may have anything if the
// upstream is given.
func (p *plan) readURLs(env []string, o Options, given bool) (problems []config.Problem) {
	for _, variable := range o.URLEnv {
		text := strings.TrimSpace(host.Getenv(env, variable))
		if text == "" {
			if o.Named {
				problems = append(problems, config.Problem{
					Variable: variable, Unset: true,
					Text: "--url-env names it; set it to the URL of a database, or remove it from --url-env",
				})
			}
			continue
		}
		url, err := pgurl.Parse(text)
		switch {
		case err == nil && !given && len(url.Addresses()) > 1:
			problems = append(problems, config.Problem{Variable: variable, Text: fmt.Sprintf(
				"expected one host, and the URL has %d; keep one, or set PGORIGIN_UPSTREAM_ADDR to all of them, and "+
					"the certificates of the URL as PGORIGIN_TLS_ variables", len(url.Addresses()))})
		case err == nil:
			p.urls = append(p.urls, link{variable: variable, url: url})
		case given && !o.Named:
			p.warn("%s is no URL of a Postgres server, so it stays as it is", variable)
		default:
			problems = append(problems, config.Problem{Variable: variable, Text: err.Error()})
		}
	}
	return problems
}

func (p *plan) warn(format string, data ...any) {
	p.warnings = append(p.warnings, config.Warning{Text: fmt.Sprintf(format, data...)})
}

// addOrigins makes an origin of each URL that leads elsewhere than those before.
func (p *plan) addOrigins(env []string) {
	var names []string
	for i := range p.urls {
		l := &p.urls[i]
		key := keyOf(l.url)
		if i := slices.IndexFunc(p.origins, func(o *origin) bool { return o.key == key }); i >= 0 {
			l.origin = p.origins[i]
			continue
		}
		l.origin = p.origins[0]
		if i > 0 {
			name := originName(l.variable)
			names = append(names, name)
			l.origin = &origin{prefix: config.Prefix + strings.ToUpper(name) + "_"}
			p.origins = append(p.origins, l.origin)
		}
		l.origin.key, l.origin.url = key, l.url
		p.names[l.origin.prefix+"UPSTREAM_URL"] = l.variable
		p.env = append(p.env, l.origin.prefix+"UPSTREAM_URL="+l.url.ToUpstream())
	}
	if len(names) > 0 {
		if others := strings.TrimSpace(host.Getenv(env, config.Prefix+"ORIGINS")); others != "" {
			names = append(strings.Split(others, ","), names...)
		}
		p.env = replace(p.env, config.Prefix+"ORIGINS", strings.Join(names, ","))
	}
}

// keyOf returns what two URLs of one origin have in common: the server, and how a connection is secured.
func keyOf(u *pgurl.URL) string {
	var parts []string
	for _, a := range u.Addresses() {
		parts = append(parts, strings.ToLower(net.JoinHostPort(a.Host, a.Port))+" "+a.IP)
	}
	for _, name := range u.Names() {
		if security.MatchString(name) {
			parts = append(parts, strings.ToLower(name)+"="+u.Parameter(name))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}

// security matches the parameters of a URL that are about TLS or about the login.
var security = regexp.MustCompile(`(?i)^(ssl|channel_?binding$|require_?auth$)`)

// originName makes the name of an origin out of the name of a variable.
func originName(variable string) string {
	words := strings.FieldsFunc(strings.ToLower(variable), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	if len(words) > 0 && slices.Contains(config.FirstWords(), strings.ToUpper(words[0])) {
		words = append([]string{"url"}, words...)
	}
	return strings.Join(words, "_")
}

// load reads the settings as the sidecar will, before anything listens.
func (p *plan) load() []config.Problem {
	env := slices.Clone(p.env)
	for i, o := range p.origins {
		if o.listen = strings.TrimSpace(host.Getenv(env, o.prefix+"LISTEN_ADDR")); o.listen == "" {
			placeholder := fmt.Sprintf("unix:/pgorigin-exec/%d", i)
			if !host.HasUnixSockets {
				placeholder = fmt.Sprintf("127.0.0.1:%d", i+1)
			}
			env = append(env, o.prefix+"LISTEN_ADDR="+placeholder)
		}
	}
	loaded, _, problems := config.LoadAs(env, p.names)
	for _, o := range p.origins {
		for _, made := range loaded.AllOrigins() {
			if made.Variable("LISTEN_ADDR") == o.prefix+"LISTEN_ADDR" {
				o.bound = made
			}
		}
		if o.listen != "" && p.listen != ListenAuto {
			problems = append(problems, config.Problem{
				Variable: o.prefix + "LISTEN_ADDR", Value: o.listen,
				Text: "expected no address, because --listen chooses one; leave out one of the two",
			})
		}
	}
	problems = append(problems, p.checkPort()...)
	config.SortProblems(problems)
	return problems
}

// checkPort refuses a port that nobody has asked for, where pgorigin logs in for everybody who connects. Any
// user of the machine could.
func (p *plan) checkPort() []config.Problem {
	if p.listen != ListenAuto {
		return nil
	}
	for _, o := range p.origins {
		switch {
		case o.listen != "" || o.bound == nil || o.bound.Auth.PasswordFile == "":
		case p.canUseSockets():
			p.listen = ListenSocket
		default:
			return []config.Problem{{
				Variable: o.bound.Variable("AUTH_PASSWORD_FILE"),
				Text: "every user of this machine could connect to a port without a password; use --listen=socket, " +
					"or --listen=tcp if nobody else uses this machine",
			}}
		}
	}
	return nil
}

// match finds the URLs that lead to the upstream that is given. Others stay as they are.
func (p *plan) match() {
	upstream := p.origins[0]
	var leading []link
	for _, l := range p.urls {
		if upstream.bound != nil && leadsTo(l.url, upstream.bound.Upstream.Addr) {
			l.origin = upstream
			leading = append(leading, l)
			p.warnLost(l)
			continue
		}
		p.warn("%s stays as it is, because it leads to %s and not to the upstream; if it must lead to "+
			"pgorigin, unset PGORIGIN_UPSTREAM_ADDR, or put that address there",
			l.variable, safetext.Quote(whereTo(l.url)))
	}
	p.urls = leading
}

// warnLost names what a URL demands of the connection and pgorigin does not read, because the upstream is
// given. Nothing is lost if it is given as a URL that demands the same.
func (p *plan) warnLost(l link) {
	given, err := pgurl.Parse(host.Getenv(p.env, config.Prefix+"UPSTREAM_URL"))
	if err == nil && keyOf(given) == keyOf(l.url) {
		return
	}
	var names []string
	for _, name := range l.url.Names() {
		if security.MatchString(name) && !strings.EqualFold(name, "sslmode") {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		p.warn("pgorigin does not take over %s from %s, because PGORIGIN_UPSTREAM_ADDR or "+
			"PGORIGIN_UPSTREAM_URL is set; set the PGORIGIN_TLS_ and PGORIGIN_AUTH_ variables, too",
			safetext.Printable(strings.Join(names, ", ")), l.variable)
	}
}

// whereTo returns the addresses of a URL for people.
func whereTo(u *pgurl.URL) string {
	var addrs []string
	for _, a := range u.Addresses() {
		addrs = append(addrs, net.JoinHostPort(cmp.Or(a.Host, a.IP), a.Port))
	}
	return strings.Join(addrs, ",")
}

// leadsTo reports whether each address of a URL is in addrs.
func leadsTo(u *pgurl.URL, addrs []string) bool {
	for _, a := range u.Addresses() {
		named, direct := net.JoinHostPort(a.Host, a.Port), net.JoinHostPort(a.IP, a.Port)
		if !slices.ContainsFunc(addrs, func(addr string) bool {
			return strings.EqualFold(addr, named) || strings.EqualFold(addr, direct)
		}) {
			return false
		}
	}
	return true
}

// bridges reports whether pgorigin asks clients of o for a password.
func (o *origin) bridges() bool {
	return o.bound != nil && o.bound.ChannelBinding() == pgwire.BridgeChannelBinding
}

// replace returns env with one value for that variable.
func replace(env []string, name, value string) []string {
	env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
	return append(env, name+"="+value)
}
