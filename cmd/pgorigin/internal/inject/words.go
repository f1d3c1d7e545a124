package inject

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// annotationPrefix begins an annotation. A word follows.
const annotationPrefix = "pgorigin/"

// Word is one setting of an injected container. The annotation pgorigin/NAME, the flag --NAME and the file
// NAME in the folder of defaults are the same setting.
type Word struct {
	Name    string
	Meaning string
	// DefaultOnly is true if a pod has no annotation for it.
	DefaultOnly bool
	// Values are the only ones allowed. If it is nil, check decides.
	Values []string

	field func(*Options) *string
	check func(string) error // says what was expected; nil means Injector.CheckUpstream
}

// Words returns the vocabulary in the order of help.
func Words() []Word {
	secret, configMap := objectNamed("Secret"), objectNamed("ConfigMap")
	word := func(name, meaning string, check func(string) error, field func(*Options) *string) Word {
		return Word{Name: name, Meaning: meaning, check: check, field: field}
	}
	choice := func(name, meaning string, field func(*Options) *string, values ...string) Word {
		return Word{Name: name, Meaning: meaning, Values: values, check: oneOf(values...), field: field}
	}
	defaultOnly := func(w Word) Word {
		w.DefaultOnly = true
		return w
	}
	return []Word{
		word("upstream", "host[:6432] of pgbouncer or PostgreSQL, or a comma list; required", nil,
			func(o *Options) *string { return &o.Upstream }),
		word("server-name", "name that the upstream's certificate must carry; default: host of the upstream",
			noSpaces, func(o *Options) *string { return &o.ServerName }),
		word("ca-secret", "Secret with the CA certificates; default: the system's roots", secret,
			func(o *Options) *string { return &o.CASecret }),
		word("ca-configmap", "ConfigMap with the CA certificates, instead of a Secret", configMap,
			func(o *Options) *string { return &o.CAConfigMap }),
		word("ca-key", "key in that Secret or ConfigMap; default: ca.crt", dataKey,
			func(o *Options) *string { return &o.CAKey }),
		word("client-secret", "Secret with tls.crt and tls.key, the client certificate", secret,
			func(o *Options) *string { return &o.ClientSecret }),
		choice("min-version", "lowest TLS version: 1.2 or 1.3",
			func(o *Options) *string { return &o.MinVersion }, "1.2", "1.3"),
		choice("log-level", "debug, info, warn or error",
			func(o *Options) *string { return &o.LogLevel }, "debug", "info", "warn", "error"),
		word("listen-port", "port on the loopback of the pod; default: 6432", port,
			func(o *Options) *string { return &o.ListenPort }),
		word("env-configmap", "ConfigMap with more PGORIGIN_ variables", configMap,
			func(o *Options) *string { return &o.EnvConfigMap }),
		choice("client-env", "false: give no container PGHOST, PGPORT and PGSSLMODE",
			func(o *Options) *string { return &o.ClientEnv }, "true", "false"),
		word("cpu-request", "CPU request of the sidecar; default: 10m", quantity,
			func(o *Options) *string { return &o.CPURequest }),
		word("memory-request", "memory request; default: 16Mi", quantity,
			func(o *Options) *string { return &o.MemoryRequest }),
		word("cpu-limit", "CPU limit; default: none", quantity,
			func(o *Options) *string { return &o.CPULimit }),
		word("memory-limit", "memory limit; default: 64Mi", quantity,
			func(o *Options) *string { return &o.MemoryLimit }),
		defaultOnly(word("image", "image of the sidecar; default: that of this release", noSpaces,
			func(o *Options) *string { return &o.Image })),
		defaultOnly(choice("image-pull-policy", "Always, IfNotPresent or Never; default: IfNotPresent",
			func(o *Options) *string { return &o.ImagePullPolicy }, "Always", "IfNotPresent", "Never")),
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

// findWord returns false if there is no such word.
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

// objectNamed returns a check for the name of an object of that kind. Kubernetes wants a DNS subdomain.
func objectNamed(kind string) func(string) error {
	return func(s string) error {
		if len(s) > 253 || !objectNames.MatchString(s) {
			return fmt.Errorf(
				`expected the name of a %s, that is, lower-case letters, digits, "-" and "."`, kind)
		}
		return nil
	}
}

func dataKey(s string) error {
	if len(s) > 253 || !dataKeys.MatchString(s) || s == "." || strings.HasPrefix(s, "..") {
		return errors.New(
			`expected a key of the Secret or ConfigMap, that is, letters, digits, "-", "_" and "."`)
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

// Labels and annotations of pods. Selectors see labels only: the API server selects pods that ask, and
// monitoring selects pods that are injected.
const (
	askLabel    = annotationPrefix + "inject" // "true" asks for injection
	statusLabel = annotationPrefix + "status"
	injected    = "injected"                        // value of statusLabel
	envRecord   = annotationPrefix + "injected-env" // names of the containers with client environment
)
