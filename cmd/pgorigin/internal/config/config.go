package config

import (
	"errors"
	"os"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// Prefix is in front of every variable.
const Prefix = "PGORIGIN_"

// Config are the environment variables of this version. Groups are nested structs because envconfig would split
// TLSCAFile into TLSCA_FILE; names never come from the envconfig tag, which falls back to the name without prefix.
// The tags desc, default and unset (what leaving a variable without default means) make help and README;
// hidden keeps a value out of logs and complaints.
type Config struct {
	Origin                        // of the unnamed origin
	Origins         originNames   `unset:"none" desc:"comma list of names of further origins, each an upstream with listeners and settings of its own"`
	DialTimeout     Period        `split_words:"true" default:"10s" desc:"for name resolution, TCP, SSLRequest and TLS in all"`
	LoginTimeout    Period        `split_words:"true" default:"60s" desc:"from accepting a client until the upstream says that it is ready for a query"`
	ShutdownDelay   Delay         `split_words:"true" default:"0s" desc:"how long to go on as before after SIGTERM, while /readyz fails already: for applications that open connections on their way out"`
	ShutdownTimeout Period        `split_words:"true" default:"25s" desc:"how long running sessions may go on after that"`
	ExitWhenIdle    Delay         `split_words:"true" default:"0s" desc:"end this long after the last session, once there was one: for a Job without native sidecars; 0s is never"`
	HealthAddr      healthAddr    `split_words:"true" default:"127.0.0.1:9632" desc:"address for probes and metrics; off turns it off; Kubernetes needs :9632"`
	AdminAddr       adminAddr     `split_words:"true" default:"off" desc:"loopback address or unix:/dir/file for \"pgorigin shutdown\" (POST /quitquitquit) and /debug/pprof; off turns it off"`
	Readiness       readiness     `default:"local" desc:"local, or upstream for a /readyz that fails while the upstream cannot be reached: an outage of the database then takes every pod out of service"`
	StartupCheck    startupCheck  `split_words:"true" default:"none" desc:"none, or upstream for a /startupz that waits for the first verified connection"`
	ProbeInterval   probeInterval `split_words:"true" default:"15s" desc:"how often a background probe tries the upstream for these two, unless sessions do; up to a fifth is taken off by chance"`
	LogLevel        LogLevel      `split_words:"true" default:"info" desc:"debug, info, warn or error"`
	LogFormat       LogFormat     `split_words:"true" default:"auto" desc:"json or console; auto is a coloured console on a terminal, else json"`
	UnknownEnv      unknownPolicy `split_words:"true" default:"error" desc:"what to do about unknown PGORIGIN_ variables: error, warn or ignore; never ignores TLS_ and AUTH_"`

	named []*Origin // in the order of Origins
}

// Load reads the settings from env, as os.Environ returns it, and reports every problem at once, sorted by variable.
// Warnings are unknown variables that the user chose to be warned about. Files are not touched here.
// It borrows the environment of the process for a moment and so must not run twice at a time.
func Load(env []string) (s Config, warnings, problems []Problem) {
	values := PgoriginValues(env)
	problems = readValues(values, Prefix, &s)
	problems = append(problems, s.Origin.check(problems)...)
	for _, name := range s.Origins {
		o := &Origin{name: name}
		problems = o.read(values, problems)
		s.named = append(s.named, o)
	}
	problems = append(problems, s.checkAddresses()...)
	problems = append(problems, blankVariables(env)...)
	unknown := s.unknownVariables(values, mentions(problems, Prefix+"ORIGINS"))
	for _, u := range unknown {
		switch {
		case u.security || s.UnknownEnv == unknownError:
			problems = append(problems, u.Problem)
		case s.UnknownEnv == unknownWarn:
			warnings = append(warnings, u.Problem)
		}
	}
	SortProblems(problems)
	return s, warnings, problems
}

// PgoriginValues picks our variables. An empty value counts as unset: compose writes one for ${X:-}. So do
// blanks, but see blankVariables.
func PgoriginValues(env []string) map[string]string {
	values := map[string]string{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, Prefix) && strings.TrimSpace(value) != "" {
			values[name] = value
		}
	}
	return values
}

// blankVariables complains of variables that somebody relies on and that hold nothing but blanks: taken for
// unset, they would drop a policy without a word. The empty string stays unset.
func blankVariables(env []string) (problems []Problem) {
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if value != "" && strings.TrimSpace(value) == "" && securityName.MatchString(name) {
			problems = append(problems, Problem{Variable: name, Text: "holds nothing but blanks; give it a value, or make it empty to leave it unset"})
		}
	}
	return problems
}

// readValues lets envconfig fill spec, a pointer to a struct of settings whose variables begin with start, and collects
// what does not parse. envconfig stops at the first such value, so it runs again without that value, which leaves the
// default in its place, until it has nothing to say.
func readValues(values map[string]string, start string, spec any) []Problem {
	defer borrowEnviron(values)()
	var problems []Problem
	for {
		err := envconfig.Process(strings.TrimSuffix(start, "_"), spec)
		if err == nil {
			return problems
		}
		var wrong *envconfig.ParseError
		if !errors.As(err, &wrong) {
			return append(problems, Problem{Variable: start + "*", Text: err.Error()})
		}
		text := wrong.Err.Error()
		if wrong.TypeName == "bool" {
			text = "expected true or false"
		}
		problems = append(problems, Problem{Variable: wrong.KeyName, Value: wrong.Value, Text: text})
		if _, set := os.LookupEnv(wrong.KeyName); !set { // a default that does not parse: a test forbids it
			return problems
		}
		_ = os.Unsetenv(wrong.KeyName)
	}
}

// borrowEnviron makes values the only PGORIGIN_ variables of this process until the returned function is called,
// because envconfig reads nothing but the environment of the process.
func borrowEnviron(values map[string]string) (restore func()) {
	before := map[string]string{}
	clearAll := func() {
		for _, entry := range os.Environ() {
			if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, Prefix) {
				_ = os.Unsetenv(name)
			}
		}
	}
	for _, entry := range os.Environ() {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, Prefix) {
			before[name] = value
		}
	}
	clearAll()
	for name, value := range values {
		_ = os.Setenv(name, value)
	}
	return func() {
		clearAll()
		for name, value := range before {
			_ = os.Setenv(name, value)
		}
	}
}

// Named returns the origins besides the unnamed one, in the order of ORIGINS.
func (s *Config) Named() []*Origin { return s.named }
