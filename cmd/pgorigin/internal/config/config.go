package config

import (
	"os"
	"strings"
	"sync"

	"github.com/kelseyhightower/envconfig"
)

// LogFormat says what log lines look like.
type LogFormat string

// The formats.
const (
	FormatAuto    LogFormat = "auto" // console on a terminal, else JSON
	FormatJSON    LogFormat = "json"
	FormatConsole LogFormat = "console"
)

// DependsOnUpstream is the value of READINESS and of STARTUP_CHECK that makes them depend on the upstream.
const DependsOnUpstream = "upstream"

// Load reads the settings from env, which looks like os.Environ. It reports every problem at once, sorted by
// variable. Warnings are unknown variables that UNKNOWN_ENV only warns of. Of files, Load reads only
// AUTH_PASSWORD_FILE and the hosts file. It looks whether libpq has files in HOME. Load changes the environment
// of the process for a moment. Calls of Load wait for one another.
func Load(env []string) (s Config, warnings, problems []Problem) { return LoadAs(env, nil) }

// LoadAs is Load with the names that people know some variables by. names has them by the name in env.
func LoadAs(env []string, names map[string]string) (s Config, warnings, problems []Problem) {
	s.aliases = names
	values := ours(env)
	s.given = map[string]string{}
	for name, value := range values {
		s.given[strings.TrimPrefix(name, Prefix)] = value
	}
	var found []finding
	home := homeIn(env)
	ofURL := s.takeURL(home)
	s.values, found = read(Variables(), s.given, &s)
	found = append(found, ofURL...)
	found = append(found, s.check(found)...)
	problems = s.Origin.problems(found)
	for _, name := range s.Origins {
		o := &Origin{name: name, aliases: names}
		s.named = append(s.named, o)
		for _, p := range o.problems(o.read(values, home, found)) {
			problems = appendNew(problems, p)
		}
	}
	problems = append(problems, s.checkAddresses()...)
	problems = append(problems, s.checkHostsFile(hostsFile())...)
	problems = append(problems, blankVariables(env)...)
	for _, u := range s.unknownVariables(values, mentions(problems, Prefix+"ORIGINS")) {
		switch {
		case u.security || s.UnknownEnv == "error":
			problems = append(problems, u.Problem)
		case s.UnknownEnv == "warn":
			warnings = append(warnings, u.Problem)
		}
	}
	SortProblems(problems)
	return s, warnings, problems
}

// homeIn returns the home directory that env names, or "".
func homeIn(env []string) string {
	home := ""
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "HOME="); ok {
			home = value
		}
	}
	return home
}

// ours returns the variables with our prefix. An empty value counts as unset, because compose writes one for
// ${X:-}. So do blanks, but see blankVariables.
func ours(env []string) map[string]string {
	values := map[string]string{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, Prefix) && strings.TrimSpace(value) != "" {
			values[name] = value
		}
	}
	return values
}

// blankVariables reports variables for security that hold only blanks. If they counted as unset, a policy
// would silently disappear.
func blankVariables(env []string) (problems []Problem) {
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if value != "" && strings.TrimSpace(value) == "" && securityName.MatchString(name) {
			problems = append(problems, Problem{
				Variable: name, Text: "holds nothing but blanks; give it a value, or make it empty to leave it unset",
			})
		}
	}
	return problems
}

// read fills spec, a pointer to a struct of settings, with the values of rows or their defaults. The values
// in given are by word. A value that does not parse becomes a finding, and the default takes its place. The
// values that it returns are by word, too, as people see them.
func read(rows []Variable, given map[string]string, spec any) (values map[string]string, found []finding) {
	values = map[string]string{}
	for _, v := range rows {
		if value, ok := given[v.Word]; ok {
			parsed, err := v.Type.parse(value)
			if err == nil {
				values[v.Word] = parsed
				continue
			}
			found = append(found, parseFinding(v.Word, value, err))
		}
		if v.Default != "" {
			values[v.Word], _ = v.Type.parse(v.Default) // a test holds that defaults parse
		}
	}
	defer borrowEnviron(values)()
	if err := envconfig.Process(strings.TrimSuffix(Prefix, "_"), spec); err != nil {
		found = append(found, finding{word: "*", text: "{}", detail: err.Error()})
	}
	return values, found
}

// borrowEnviron makes values, which are by word, the only PGORIGIN_ variables of the process until restore is
// called: envconfig reads nothing but the environment of the process.
func borrowEnviron(values map[string]string) (restore func()) {
	environ.Lock()
	replace := func(with map[string]string) (before map[string]string) {
		before = map[string]string{}
		for _, entry := range os.Environ() {
			name, value, _ := strings.Cut(entry, "=")
			if word, ok := strings.CutPrefix(name, Prefix); ok {
				before[word] = value
				_ = os.Unsetenv(name)
			}
		}
		for word, value := range with {
			_ = os.Setenv(Prefix+word, value)
		}
		return before
	}
	before := replace(values)
	return func() {
		replace(before)
		environ.Unlock()
	}
}

// environ guards the environment of the process while it is borrowed.
var environ sync.Mutex //nolint:gochecknoglobals // what it guards is global

// Named returns the origins besides the unnamed one, in the order of ORIGINS.
func (s *Config) Named() []*Origin { return s.named }

// AllOrigins returns all origins, the unnamed one first.
func (s *Config) AllOrigins() []*Origin { return append([]*Origin{&s.Origin}, s.named...) }

// Labels returns the names of all origins.
func (s *Config) Labels() []string {
	var labels []string
	for _, o := range s.AllOrigins() {
		labels = append(labels, o.Name())
	}
	return labels
}
