package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Names that the kubelet puts into every container for a Service named pgorigin or pgorigin-something. A
// person might also make up a name that portName matches, such as PGORIGIN_LISTEN_PORT, so its value counts,
// too.
var (
	serviceName = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$`)
	linkName    = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)
	portName    = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_PORT$`)
	portValue   = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// weakeningName matches names that turn verification off in other programs.
var weakeningName = regexp.MustCompile(
	`SSL_?MODE|TLS_?MODE|INSECURE|SKIP_?VERIF|NO_?VERIF|VERIFY_NONE|DISABLE_?VERIF|UNVERIFIED|TRUST_?(ALL|SERVER)|` +
		`(TLS|SSL)_(DISABLED?|ENABLED?|OFF|REQUIRED?)$|(DISABLE|NO)_(TLS|SSL)$`)

// weakeningValue matches values of TLS_VERIFY that would do so.
var weakeningValue = regexp.MustCompile(
	`(?i)^(false|no|none|off|0|disabled?|insecure|never|skip|allow|prefer|require)$`)

// securityName matches names of variables for security, in this version or another. UNKNOWN_ENV does not
// apply to them. A test compares it with Variable.Security.
var securityName = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_(TLS|AUTH)_|_ALLOW_UIDS$|_SOCKET_MODE$`)

// weakeningText is a template for Origin.Fill.
const weakeningText = "verification cannot be turned off; for your own CA, set {own:TLS_CA_FILE}; if the " +
	"certificate has another name than {UPSTREAM_ADDR}, set {own:TLS_SERVER_NAME}; only " +
	"{own:TLS_VERIFY}=verify-ca skips the name"

// unknownVariable is a PGORIGIN_ variable that is not a setting.
type unknownVariable struct {
	Problem
	security bool // an error whatever UNKNOWN_ENV says
}

// unknownVariables returns the names in values that are no settings, sorted. It repeats a value only where
// that cannot be a secret: an unknown variable may be anything. If the list of origins could not be read, it
// leaves out what looks like a variable of an origin.
func (s *Config) unknownVariables(values map[string]string, originsUnread bool) []unknownVariable {
	known := s.names()
	var unknown []unknownVariable
	for name, value := range values {
		value = strings.TrimSpace(value)
		u := unknownVariable{Problem: Problem{Variable: name}, security: securityName.MatchString(name)}
		o := s.originOf(name)
		_, _, undeclared := undeclaredOrigin(name)
		switch {
		case slices.Contains(known, name), isServiceLink(name, value):
			continue
		case weakeningName.MatchString(name):
			u.Value, u.Text, u.security = value, o.Fill(weakeningText), true
		case originsUnread && undeclared:
			continue
		default:
			u.Text = "unknown variable; " + s.advice(o, name, known)
		}
		unknown = append(unknown, u)
	}
	slices.SortFunc(unknown, func(a, b unknownVariable) int {
		return strings.Compare(a.Variable, b.Variable)
	})
	return unknown
}

// names returns the names of all settings that there are with these origins.
func (s *Config) names() []string {
	names, words := Names(), OriginWords()
	for _, o := range s.named {
		for _, word := range words {
			names = append(names, o.prefix()+word)
		}
	}
	return names
}

// originOf returns the origin whose prefix begins name, and the one with the longest name if there are
// several.
func (s *Config) originOf(name string) *Origin {
	best := &s.Origin
	for _, o := range s.named {
		if strings.HasPrefix(name, o.prefix()) && len(o.prefix()) > len(best.prefix()) {
			best = o
		}
	}
	return best
}

// isServiceLink reports whether Kubernetes, not a person, set the variable.
func isServiceLink(name, value string) bool {
	return serviceName.MatchString(name) || linkName.MatchString(name) ||
		portName.MatchString(name) && portValue.MatchString(value)
}

// advice says which variable name probably stands for, or what to do. The name begins like those of o.
func (s *Config) advice(o *Origin, name string, known []string) string {
	if !o.Unnamed() {
		return o.advice(strings.TrimPrefix(name, o.prefix()))
	}
	if origin, word, ok := undeclaredOrigin(name); ok {
		if near := Nearest(origin, s.Origins); near != "" {
			return "did you mean " + Prefix + strings.ToUpper(near) + "_" + word + "?"
		}
		return fmt.Sprintf("there is no origin %s; add it to %sORIGINS, or remove this", origin, Prefix)
	}
	if near := Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	if portName.MatchString(name) {
		return "ports are part of " + Prefix + "LISTEN_ADDR and " + Prefix + "UPSTREAM_ADDR"
	}
	return "\"pgorigin help\" lists all"
}

// advice is about an unknown word after the prefix of a named origin.
func (o *Origin) advice(word string) string {
	if slices.Contains(Names(), Prefix+word) {
		return Prefix + word + " is for the whole process, not for an origin"
	}
	var known []string
	for _, word := range OriginWords() {
		known = append(known, Prefix+word)
	}
	if near := Nearest(Prefix+word, known); near != "" {
		return "did you mean " + o.prefix() + strings.TrimPrefix(near, Prefix) + "?"
	}
	return "\"pgorigin help\" lists what an origin has"
}

// undeclaredOrigin takes name apart if it would be the variable of an origin that ORIGINS does not list. The
// name of the origin is in lower case.
func undeclaredOrigin(name string) (origin, word string, ok bool) {
	for _, word := range OriginWords() {
		rest, found := strings.CutSuffix(strings.TrimPrefix(name, Prefix), "_"+word)
		if origin := strings.ToLower(rest); found && checkOriginName(origin) == nil {
			return origin, word, true
		}
	}
	return "", "", false
}

// Nearest returns the word that is closest to what was typed, or the only one that begins with it. Of several,
// it returns the one that ends in _ADDR. It returns "" if no word is close.
func Nearest(typed string, words []string) string {
	if slices.Contains(words, typed+"_ADDR") {
		return typed + "_ADDR"
	}
	longer := slices.DeleteFunc(slices.Clone(words), func(word string) bool {
		return !strings.HasPrefix(word, typed+"_")
	})
	if len(longer) == 1 {
		return longer[0]
	}
	best, bestDistance := "", max(2, len(strings.TrimPrefix(typed, Prefix))/3)+1
	for _, word := range words {
		if d := editDistance(typed, word); d < bestDistance {
			best, bestDistance = word, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements of bytes that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
