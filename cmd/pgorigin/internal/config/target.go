package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/pgurl"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// Target is an upstream that somebody named on a command line, as host:port or as a URL.
type Target struct {
	Notes []string // what is odd about the URL

	values map[string]string // by the name of a variable; empty means that the variable does not hold
}

// ParseTarget reads a target. Its errors repeat neither a user nor a password. env has the variables besides.
func ParseTarget(text string, env []string) (Target, error) {
	t := Target{values: map[string]string{}}
	switch {
	case strings.Contains(text, "://"), strings.HasPrefix(text, "jdbc:"):
		return t, t.readURL(text, ours(env))
	case strings.Contains(text, "="):
		return t, errors.New("expected host:port or a URL such as postgres://user@host:5432/db; " +
			"keyword=value strings are not supported")
	case strings.Contains(text, "@"):
		return t, errors.New("expected host:port or a URL such as postgres://user@host:5432/db")
	}
	addrs, err := parseAddrs(text, addrRules{defaultPort: "6432", example: "pgbouncer.prod.svc:6432"})
	t.values["UPSTREAM_ADDR"] = strings.Join(addrs, ",")
	return t, err
}

// readURL reads a URL by the rules of UPSTREAM_URL. But check tests all of several hosts, and a path on a
// command line may be relative.
func (t *Target) readURL(text string, values map[string]string) error {
	u, err := pgurl.Parse(text)
	if err != nil {
		return err
	}
	given := func(word string) bool {
		_, ok := values[Prefix+word]
		return ok
	}
	s, err := urlRules{hosts: true, relative: true, given: given, wins: given}.settings(u)
	if err != nil {
		return errors.New(new(Origin).Fill(err.Error()))
	}
	for _, word := range []string{"TLS_MIN_VERSION", "TLS_NEGOTIATION", "AUTH_REQUIRE"} {
		v, _ := Lookup(word)
		if value := s.values[word]; s.parameters[word] != "" {
			if _, err := v.Type.parse(value); err != nil {
				return fmt.Errorf("%s in the URL is %s: %w", s.parameters[word], safetext.Quote(value), err)
			}
		}
	}
	t.values = s.values
	if s.values["TLS_CA_FILE"] != "" {
		t.values["TLS_CA_PEM"] = ""
	}
	for variable, value := range map[string]string{"PGUSER": u.User(), "PGDATABASE": u.Database()} {
		if value != "" {
			t.values[variable] = value
		}
	}
	for _, n := range s.notes {
		t.Notes = append(t.Notes, new(Origin).Fill(n.template, append([]string{"the URL"}, n.data...)...))
	}
	if u.Password() != "" {
		t.Notes = append(t.Notes, "the password in the URL is not used; --login takes one from PGPASSFILE, "+
			"~/.pgpass or --password-file")
	}
	return nil
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
		if entry == Prefix+"AUTH_PASSWORD_FILE="+urlPassword {
			return true // there is no UPSTREAM_URL
		}
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
