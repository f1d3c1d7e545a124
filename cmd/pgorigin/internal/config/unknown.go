package config

import (
	"regexp"
	"slices"
	"strings"
)

// Names that the kubelet puts into every container for a Service called pgorigin or pgorigin-something. The last one
// is told from a name that a person made up, such as PGORIGIN_LISTEN_PORT, by its value.
var (
	serviceName = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$`)
	linkName    = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)
	portName    = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_PORT$`)
	portValue   = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// weakeningName matches what people set, by habit from other programs, to turn verification off.
var weakeningName = regexp.MustCompile(
	`SSL_?MODE|TLS_?MODE|INSECURE|SKIP_?VERIF|NO_?VERIF|VERIFY_NONE|DISABLE_?VERIF|UNVERIFIED|TRUST_?(ALL|SERVER)|` +
		`(TLS|SSL)_(DISABLED?|ENABLED?|OFF|REQUIRED?)$|(DISABLE|NO)_(TLS|SSL)$`)

// weakeningValue matches values of TLS_VERIFY that mean the same.
var weakeningValue = regexp.MustCompile(`(?i)^(false|no|none|off|0|disabled?|insecure|never|skip|allow|prefer|require)$`)

// securityName matches names that no policy may ignore: somebody relies on them, in this version or another.
var securityName = regexp.MustCompile(`^PGORIGIN(_[A-Z0-9]+)*_(TLS|AUTH)_|_ALLOW_UIDS$|_SOCKET_MODE$`)

const weakeningText = "verification cannot be turned off: the upstream's certificate chain is always checked, and its name, too, " +
	"unless " + Prefix + "TLS_VERIFY=verify-ca; " +
	"for a CA of your own set " + Prefix + "TLS_CA_FILE, for a name other than the host in " + Prefix +
	"UPSTREAM_ADDR set " + Prefix + "TLS_SERVER_NAME"

// unknownVariable is a PGORIGIN_ variable that is no setting.
type unknownVariable struct {
	Problem
	security bool // an error whatever PGORIGIN_UNKNOWN_ENV says
}

// unknownVariables returns what is no setting among values, sorted by name. Values are repeated only where they cannot
// be secrets: an unknown variable may be anything. If the list of origins could not be read, what looks like the variable
// of one is left out.
func (s *Config) unknownVariables(values map[string]string, originsUnread bool) []unknownVariable {
	settingNames := s.names()
	var unknown []unknownVariable
	for name, value := range values {
		value = strings.TrimSpace(value)
		u := unknownVariable{Problem: Problem{Variable: name}, security: securityName.MatchString(name)}
		o := s.originOf(name)
		_, ofStranger := strangerOf(name)
		switch {
		case slices.Contains(settingNames, name), isServiceLink(name, value):
			continue
		case weakeningName.MatchString(name):
			u.Value, u.Text, u.security = value, o.Rename(weakeningText), true
		case originsUnread && ofStranger:
			continue
		default:
			u.Text = "unknown variable; " + s.advice(o, name, settingNames)
		}
		unknown = append(unknown, u)
	}
	slices.SortFunc(unknown, func(a, b unknownVariable) int { return strings.Compare(a.Variable, b.Variable) })
	return unknown
}

// isServiceLink reports whether Kubernetes, not a person, set the variable.
func isServiceLink(name, value string) bool {
	return serviceName.MatchString(name) || linkName.MatchString(name) ||
		portName.MatchString(name) && portValue.MatchString(value)
}

// advice names the variable that was probably meant by name, which begins like those of o.
func (s *Config) advice(o *Origin, name string, settingNames []string) string {
	if !o.Unnamed() {
		return o.advice(strings.TrimPrefix(name, o.prefix()))
	}
	if stranger, ok := strangerOf(name); ok {
		return s.strangerAdvice(stranger, strings.TrimPrefix(name, Prefix+strings.ToUpper(stranger)+"_"))
	}
	if near := Nearest(name, settingNames); near != "" {
		return "did you mean " + near + "?"
	}
	if portName.MatchString(name) {
		return "ports are part of " + Prefix + "LISTEN_ADDR and " + Prefix + "UPSTREAM_ADDR"
	}
	return "\"pgorigin help\" lists all"
}

// Nearest returns the word that is closest to what was typed, or the only one that begins with it; "" if none is close.
func Nearest(typed string, words []string) string {
	var begun []string
	for _, word := range words {
		if strings.HasPrefix(word, typed+"_") {
			begun = append(begun, word)
		}
	}
	if len(begun) == 1 {
		return begun[0]
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
