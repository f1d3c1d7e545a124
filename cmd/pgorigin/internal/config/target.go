package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// Target is an upstream that somebody named on a command line, as host:port or as a libpq URL.
type Target struct {
	Password bool // the URL has a password, which is not used

	values map[string]string // by the name of a variable; empty means that the variable does not hold
}

// libpqPort is the port of a URL without one.
const libpqPort = "5432"

// ParseTarget reads a target. Its errors repeat neither a user nor a password.
func ParseTarget(text string) (Target, error) {
	t := Target{values: map[string]string{}}
	scheme, rest, isURL := strings.Cut(text, "://")
	switch {
	case !isURL && strings.Contains(text, "="):
		return t, errors.New("expected host:port or a URL such as postgres://user@host:5432/db; " +
			"keyword=value strings are not supported")
	case !isURL:
		addrs, err := parseAddrs(text, addrRules{defaultPort: "6432", example: "pgbouncer.prod.svc:6432"})
		t.values["UPSTREAM_ADDR"] = strings.Join(addrs, ",")
		return t, err
	case scheme != "postgres" && scheme != "postgresql":
		return t, fmt.Errorf("expected a URL that begins with postgres://, not with %s",
			safetext.Quote(scheme+"://"))
	}
	return t, t.readURL(rest)
}

// readURL reads what follows the scheme.
func (t *Target) readURL(rest string) error {
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	var user string
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		var password string
		user, password, _ = strings.Cut(authority[:at], ":")
		t.Password = password != ""
		authority = authority[at+1:]
	}
	parameters := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return fmt.Errorf("the value of %s has a %% without two hexadecimal digits", safetext.Quote(name))
		}
		parameters[name] = decoded
	}
	t.Password = t.Password || parameters["password"] != ""
	for variable, from := range map[string]string{"PGUSER": user, "PGDATABASE": database} {
		if decoded, err := url.PathUnescape(from); err == nil && decoded != "" {
			t.values[variable] = decoded
		}
	}
	t.readParameters(parameters)
	return t.readHosts(authority, parameters)
}

// readParameters reads those that say how to verify, and who logs in. Others do not matter here: no sslmode
// makes verification weaker.
func (t *Target) readParameters(parameters map[string]string) {
	for name, variable := range map[string]string{
		"user": "PGUSER", "dbname": "PGDATABASE", "sslrootcert": "TLS_CA_FILE", "sslcert": "TLS_CERT_FILE",
		"sslkey": "TLS_KEY_FILE", "sslcrl": "TLS_CRL_FILE",
	} {
		if value := parameters[name]; value != "" {
			t.values[variable] = value
		}
	}
	if t.values["TLS_CA_FILE"] != "" {
		t.values["TLS_CA_PEM"] = ""
	}
	if parameters["sslrootcert"] == "system" {
		t.values["TLS_CA_FILE"] = ""
	}
	if parameters["sslnegotiation"] == "direct" {
		t.values["TLS_NEGOTIATION"] = "direct"
	}
	if parameters["ssl_min_protocol_version"] == "TLSv1.3" {
		t.values["TLS_MIN_VERSION"] = "1.3"
	}
}

// readHosts reads the list of hosts, each with its port. If there is a hostaddr, it is where the host is, and
// the certificate must have the name of the host.
func (t *Target) readHosts(authority string, parameters map[string]string) error {
	hosts, ports := strings.Split(authority, ","), strings.Split(parameters["port"], ",")
	if authority == "" {
		hosts = strings.Split(parameters["host"], ",")
	}
	if addrs := parameters["hostaddr"]; addrs != "" {
		if len(hosts) == 1 && hosts[0] != "" {
			name, port, err := splitHostPort(hosts[0])
			if err != nil {
				return err
			}
			t.values["TLS_SERVER_NAME"] = name
			if port != "" {
				ports = []string{port}
			}
		}
		hosts = strings.Split(addrs, ",")
	}
	for i, host := range hosts {
		if decoded, err := url.PathUnescape(host); err == nil {
			host = decoded
		}
		if host == "" {
			return errors.New("the URL has no host; write postgres://host:5432")
		}
		addr, err := withPort(host, ports[min(i, len(ports)-1)])
		if err != nil {
			return err
		}
		hosts[i] = addr
	}
	t.values["UPSTREAM_ADDR"] = strings.Join(hosts, ",")
	return nil
}

// withPort returns host:port. A port in host precedes the other one, and a port precedes libpqPort.
func withPort(host, port string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]" // hostaddr has no brackets
	}
	return parseAddr(host, addrRules{
		defaultPort: cmp.Or(port, libpqPort), example: "postgres://user@host:5432/db",
	})
}

// Environment returns env as it would be for one origin with this target. Of pgorigin's own variables, only
// those hold that say how to verify, how to log in and how long to wait.
func (t *Target) Environment(env []string) []string {
	values := map[string]string{"LISTEN_ADDR": "unix:/pgorigin-check"} // an upstream is never it; nobody listens
	for word, value := range t.values {
		values[word] = value
	}
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		word, ours := strings.CutPrefix(name, Prefix)
		_, replaced := values[word]
		if !ours {
			return replaced && strings.HasPrefix(name, "PG")
		}
		first, _, _ := strings.Cut(word, "_")
		return replaced || !slices.Contains([]string{"TLS", "AUTH", "DIAL", "LOGIN", "UNKNOWN"}, first)
	})
	for name, value := range values {
		if name != "PGUSER" && name != "PGDATABASE" {
			name = Prefix + name
		}
		env = append(env, name+"="+value)
	}
	return env
}
