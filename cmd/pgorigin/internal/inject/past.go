package inject

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// variable is one of a container's environment.
type variable struct {
	Name      string    `json:"name" yaml:"name"`
	Value     string    `json:"value" yaml:"value"`
	ValueFrom valueFrom `json:"valueFrom" yaml:"valueFrom"`
}

// valueFrom and envFrom name the Secret or ConfigMap that has the values.
type (
	valueFrom struct {
		Secret    named `json:"secretKeyRef" yaml:"secretKeyRef"`
		ConfigMap named `json:"configMapKeyRef" yaml:"configMapKeyRef"`
	}
	envFrom struct {
		Secret    named `json:"secretRef" yaml:"secretRef"`
		ConfigMap named `json:"configMapRef" yaml:"configMapRef"`
	}
)

// connections are the patterns of the contract that find hosts in a container.
type connections struct {
	HostVariable  *regexp.Regexp `yaml:"hostVariable"`
	LocalHosts    *regexp.Regexp `yaml:"localHosts"`
	Places        []struct{ Pattern, With, Without *regexp.Regexp }
	LocalPlace    *regexp.Regexp `yaml:"localPlace"`
	Reference     *regexp.Regexp `yaml:"reference"`
	WhereVariable *regexp.Regexp `yaml:"whereVariable"`
}

// maxTexts is how many bytes of a pod's variables and commands are looked at.
const maxTexts = 64 << 10

// hints returns what in the containers bypasses a sidecar with these settings.
func (p pod) hints(settings Settings) []Note {
	look := &look{settings: settings, left: maxTexts, local: p.localNames(), tls: p.sidecarHas("PGORIGIN_LISTEN_TLS")}
	if name := settings["intercept-name"]; name != "" {
		look.local[name], look.tls = true, true
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if c.Name != containerName {
			look.at(c)
		}
	}
	if more := len(look.found) - maxProblems; more > 0 {
		last := Note{Text: fmt.Sprintf("and %d more variables or commands", more), Wrong: true}
		return append(look.found[:maxProblems:maxProblems], last)
	}
	return look.found
}

// look is a search for hints.
type look struct {
	settings Settings
	local    map[string]bool // names that lead here
	tls      bool            // whether pgorigin's port has TLS
	left     int             // bytes that it still looks at
	found    []Note          // without the name of the object
}

func (l *look) add(wrong bool, format string, values ...any) {
	l.found = append(l.found, Note{Text: fmt.Sprintf(format, values...), Wrong: wrong})
}

// address is where containers shall connect to.
func (l *look) address() string {
	if address := l.settings["intercept-address"]; address != "" {
		return address
	}
	return loopback + ":" + l.settings["listen-port"]
}

// at adds a hint for each host that is not local. Without one, it adds the first thing that is unclear.
func (l *look) at(c podContainer) {
	name, address := `container "`+shown(c.Name, "...")+`"`, l.address()
	given := !c.hasClientEnv() && l.settings["client-env"] == "true"
	local, past := false, false
	variable, mode := "PGSSLMODE", c.value("PGSSLMODE")
	for _, text := range c.texts(given) {
		text.Value = text.Value[:min(len(text.Value), max(0, l.left-len(text.Name)))]
		l.left -= len(text.Name) + len(text.Value)
		if l.left < 0 {
			break
		}
		host, isLocal := text.host(l.local)
		local = local || isLocal
		if host != "" {
			past = true
			l.add(true, "%s bypasses pgorigin: %s has the host %s: write %s there",
				name, shown(text.Name, "a variable"), shown(host, "of another machine"), address)
		}
		if own := text.sslMode(); isLocal && own != "" {
			variable, mode = "sslmode in "+shown(text.Name, "a variable"), own
		}
		l.port(name, text, c.value("PGPORT"))
	}
	switch unclear := c.unclear(); {
	case past:
	case l.tls && strings.HasPrefix(mode, "verify-"):
		l.add(false, "%s: %s is %s: check that it trusts the CA of pgorigin's port, or write require",
			name, variable, shown(mode, "verify-..."))
	case !l.tls && (mode == "require" || strings.HasPrefix(mode, "verify-")):
		l.add(l.settings["env-configmap"] == "", "%s: %s is %s, and pgorigin's port has no TLS: write disable",
			name, variable, shown(mode, "verify-..."))
	case local:
	case unclear != "":
		l.add(false, "%s: pgorigin cannot see where %s leads: check that it is %s", name, unclear, address)
	case !given && l.settings["client-env"] == "true":
		l.add(false, "%s gets no PGHOST, because it has PGPORT or PGSSLMODE: set PGHOST to 127.0.0.1", name)
	}
}

// port adds a hint if a text leads to a port of the intercepted name where nobody listens.
func (l *look) port(name string, text variable, given string) {
	host := l.settings["intercept-name"]
	if host == "" {
		return
	}
	port := text.portOf(host)
	if port == "" && text.Value == host && readContract().connections().HostVariable.MatchString(text.Name) {
		port = given
	}
	listening := append(keys(l.settings["origins"]), l.settings["listen-port"])
	if number, err := strconv.ParseUint(port, 10, 16); err == nil && !slices.Contains(listening, port) {
		l.add(true, "%s: %s leads to port %d of %s, where nobody listens now: add %[3]d=%[4]s:%[3]d to origins",
			name, shown(text.Name, "a variable"), number, host)
	}
}

// portOf returns the port that follows a host in a text, or "".
func (v variable) portOf(host string) string {
	for _, at := range v.places() {
		port, found := strings.CutPrefix(v.Value[at.end:], ":")
		if at.host != host || !found || strings.Contains(port, "@") { // else it may be a part of a password
			continue
		}
		digits := strings.IndexFunc(port, func(r rune) bool { return r < '0' || r > '9' })
		if digits < 0 {
			digits = len(port)
		}
		return port[:digits]
	}
	return ""
}

// sslMode returns the value of sslmode in a text, if it demands TLS.
func (v variable) sslMode() string {
	_, rest, _ := strings.Cut(v.Value, "sslmode=")
	for _, mode := range []string{"require", "verify-ca", "verify-full"} {
		if after, found := strings.CutPrefix(rest, mode); found && strings.Trim(after[:min(1, len(after))], "&; '\"") == "" {
			return mode
		}
	}
	return ""
}

// value returns that of a variable, or "".
func (c podContainer) value(name string) string {
	i := slices.IndexFunc(c.Env, func(v variable) bool { return v.Name == name })
	if i < 0 {
		return ""
	}
	return c.Env[i].Value
}

// texts are the values that may name hosts, and the command with its arguments. given reports whether inject
// sets PGHOST.
func (c podContainer) texts(given bool) []variable {
	texts := slices.Clone(c.Env)
	texts = append(texts, variable{Name: "its command", Value: strings.Join(slices.Concat(c.Command, c.Args), " ")})
	if given || readContract().connections().LocalHosts.MatchString(c.value("PGHOST")) {
		for i := range texts {
			texts[i].Value = strings.ReplaceAll(texts[i].Value, "$(PGHOST)", "127.0.0.1")
		}
	}
	return texts
}

// host returns the first host in a text that is not local, or something that cannot be shown, else "". It
// reports whether a host is local. These names are so, too.
func (v variable) host(names map[string]bool) (host string, local bool) {
	patterns := readContract().connections()
	text := v.Value
	isHost := patterns.HostVariable.MatchString(v.Name)
	switch {
	case isHost && names[text]:
		return "", true
	case (isHost || patterns.WhereVariable.MatchString(v.Name)) && patterns.LocalHosts.MatchString(text):
		return "", true
	case isHost && text != "" && !strings.Contains(text, "$("):
		return text, false
	}
	for _, at := range v.places() {
		host, rest := at.host, text[at.end:]
		switch {
		case at.local, names[host]:
			local = true
		case patterns.Reference.MatchString(rest):
		case strings.Contains(rest, "@"):
			return "@", false // what was found may be a part of a password
		default:
			return host, false
		}
	}
	return "", local
}

// namedPlace is a place in a text that names a host.
type namedPlace struct {
	host  string
	local bool
	end   int // of the host
}

// places returns the places of a text that name hosts.
func (v variable) places() (all []namedPlace) {
	patterns := readContract().connections()
	for _, place := range patterns.Places {
		with := place.With == nil || place.With.MatchString(v.Value)
		if !with || place.Without != nil && place.Without.MatchString(v.Value) {
			continue
		}
		for _, at := range place.Pattern.FindAllStringIndex(v.Value, -1) {
			found := v.Value[at[0]:at[1]]
			host := found[strings.LastIndexAny(found, "@/= ")+1:]
			all = append(all, namedPlace{host, patterns.LocalPlace.MatchString(found), at[1]})
		}
	}
	return all
}

// shown returns a name or host for a message: itself, if it is short and cannot hold a password.
func shown(name, otherwise string) string {
	if readContract().showable().MatchString(name) {
		return name
	}
	return otherwise
}

// unclear names a source of values that pgorigin cannot judge: such a variable, or one for all variables.
func (c podContainer) unclear() string {
	for _, v := range c.Env {
		if shown(v.Name, "") == "" || !readContract().connections().WhereVariable.MatchString(v.Name) {
			continue
		}
		switch from := reference(v.ValueFrom.Secret, v.ValueFrom.ConfigMap); {
		case from != "":
			return v.Name + " of " + from
		case strings.HasSuffix(v.Name, "HOST") && v.Value != "":
			return v.Name
		}
	}
	for _, all := range c.EnvFrom {
		if from := reference(all.Secret, all.ConfigMap); from != "" {
			return from
		}
	}
	return ""
}

// reference names a Secret or ConfigMap.
func reference(secret, configMap named) string {
	switch {
	case secret.Name != "":
		return "Secret " + shown(secret.Name, "...")
	case configMap.Name != "":
		return "ConfigMap " + shown(configMap.Name, "...")
	}
	return ""
}
