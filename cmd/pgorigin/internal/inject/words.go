package inject

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// annotationPrefix is in front of a word where it is an annotation.
const annotationPrefix = "pgorigin/"

// Word is one thing that can be said about an injected container: the annotation pgorigin/NAME, the flag --NAME and the
// file NAME in the folder of defaults mean the same.
type Word struct {
	Name    string
	Meaning string
	// DefaultOnly is true for what a pod cannot choose for itself.
	DefaultOnly bool

	field func(*Options) *string
	check func(string) error // says what was expected; nil if that is up to Injector.CheckUpstream
}

// Words returns the vocabulary in the order in which help shows it.
func Words() []Word {
	secret, configMap := objectNamed("Secret"), objectNamed("ConfigMap")
	return []Word{
		{"upstream", "host[:6432] of pgbouncer or PostgreSQL, or a comma list; required", false, func(o *Options) *string { return &o.Upstream }, nil},
		{"server-name", "name that the upstream's certificate must carry; else the host of the upstream", false, func(o *Options) *string { return &o.ServerName }, noSpaces},
		{"ca-secret", "Secret with the CA certificates; else the system's roots", false, func(o *Options) *string { return &o.CASecret }, secret},
		{"ca-configmap", "ConfigMap with the CA certificates, instead of a Secret", false, func(o *Options) *string { return &o.CAConfigMap }, configMap},
		{"ca-key", "key in that Secret or ConfigMap; else ca.crt", false, func(o *Options) *string { return &o.CAKey }, dataKey},
		{"client-secret", "Secret with tls.crt and tls.key, the client certificate", false, func(o *Options) *string { return &o.ClientSecret }, secret},
		{"min-version", "lowest TLS version: 1.2 or 1.3", false, func(o *Options) *string { return &o.MinVersion }, oneOf("1.2", "1.3")},
		{"log-level", "debug, info, warn or error", false, func(o *Options) *string { return &o.LogLevel }, oneOf("debug", "info", "warn", "error")},
		{"listen-port", "port on the pod's loopback; else 6432", false, func(o *Options) *string { return &o.ListenPort }, port},
		{"env-configmap", "ConfigMap with further PGORIGIN_ variables", false, func(o *Options) *string { return &o.EnvConfigMap }, configMap},
		{"client-env", "false: do not give PGHOST, PGPORT and PGSSLMODE to containers that have none of them", false, func(o *Options) *string { return &o.ClientEnv }, oneOf("true", "false")},
		{"cpu-request", "resources of the sidecar; else 10m", false, func(o *Options) *string { return &o.CPURequest }, quantity},
		{"memory-request", "else 16Mi", false, func(o *Options) *string { return &o.MemoryRequest }, quantity},
		{"cpu-limit", "else none", false, func(o *Options) *string { return &o.CPULimit }, quantity},
		{"memory-limit", "else 64Mi", false, func(o *Options) *string { return &o.MemoryLimit }, quantity},
		{"image", "image of the sidecar; else that of this version, if it is a release", true, func(o *Options) *string { return &o.Image }, noSpaces},
		{"image-pull-policy", "Always, IfNotPresent or Never; else IfNotPresent", true, func(o *Options) *string { return &o.ImagePullPolicy }, oneOf("Always", "IfNotPresent", "Never")},
	}
}

// wanted says what to write as the value.
func (w Word) wanted() string {
	switch {
	case strings.HasSuffix(w.Name, "-secret"):
		return "the name of a Secret"
	case strings.HasSuffix(w.Name, "-configmap"):
		return "the name of a ConfigMap"
	}
	return "a value"
}

// findWord returns false for a name that no word has.
func findWord(name string) (Word, bool) {
	words := Words()
	i := slices.IndexFunc(words, func(w Word) bool { return w.Name == name })
	if i < 0 {
		return Word{}, false
	}
	return words[i], true
}

var (
	objectNames  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	dataKeys     = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	quantityText = regexp.MustCompile(`^([0-9]+|[0-9]+\.[0-9]+)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$`)
)

// objectNamed checks the name of an object of that kind: a DNS subdomain, as Kubernetes wants it.
func objectNamed(kind string) func(string) error {
	return func(s string) error {
		if len(s) > 253 || !objectNames.MatchString(s) {
			return fmt.Errorf(`expected the name of a %s, that is, lower-case letters, digits, "-" and "."`, kind)
		}
		return nil
	}
}

func dataKey(s string) error {
	if len(s) > 253 || !dataKeys.MatchString(s) || s == "." || strings.HasPrefix(s, "..") {
		return errors.New(`expected a key of the Secret or ConfigMap, that is, letters, digits, "-", "_" and "."`)
	}
	return nil
}

func quantity(s string) error {
	if !quantityText.MatchString(s) {
		return errors.New("expected a quantity such as 10m, 1, 64Mi or 1Gi")
	}
	return nil
}

func port(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != s || n == healthPort {
		return fmt.Errorf("expected a port from 1 to 65535 other than %d", healthPort)
	}
	return nil
}

func noSpaces(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("expected one word, without spaces")
	}
	return nil
}

func oneOf(allowed ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(allowed, s) {
			return nil
		}
		last := len(allowed) - 1
		return fmt.Errorf("expected %s or %s", strings.Join(allowed[:last], ", "), allowed[last])
	}
}
