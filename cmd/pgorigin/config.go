package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// prefix is in front of every variable.
const prefix = "PGORIGIN_"

// settings are the environment variables of this version. Groups are nested structs because envconfig would split
// TLSCAFile into TLSCA_FILE; names never come from the envconfig tag, which falls back to the name without prefix.
// The tags desc, default and unset (what leaving a variable without default means) make help and README;
// hidden keeps a value out of logs and complaints.
type settings struct {
	Upstream struct {
		Addr upstreamAddrs `unset:"required" desc:"host[:6432] of pgbouncer or PostgreSQL; a comma list is tried in order; names are resolved anew for each connection"`
	}
	Listen struct {
		Addr             listenAddrs `default:"127.0.0.1:6432" desc:"plaintext address for clients; a comma list is possible; unix:/dir makes the socket /dir/.s.PGSQL.6432, unix:/dir/file that file"`
		AllowNonLoopback bool        `split_words:"true" default:"false" desc:"allow LISTEN_ADDR to be reachable from other machines, without encryption"`
		Socket           struct {
			Mode socketMode `default:"0600" desc:"file mode of Unix sockets"`
		}
		Allow struct {
			UIDs uidList `unset:"all" desc:"comma list of the numeric user IDs that may connect to the Unix sockets, whatever their mode; there may be no TCP address then"`
		}
	}
	TLS struct {
		ServerName string `split_words:"true" unset:"host of the upstream" desc:"name or IP address that the upstream's certificate must carry"`
		CA         struct {
			File string `unset:"system roots" desc:"PEM file with the CA certificates that the upstream's certificate must chain to"`
			PEM  string `hidden:"true" unset:"system roots" desc:"the same as text, instead of the file"`
		}
		Verify verifyMode `default:"verify-full" desc:"verify-full, or verify-ca to accept any name; that needs TLS_CA_FILE or TLS_CA_PEM"`
		CRL    struct {
			File string `unset:"none" desc:"PEM file with certificate revocation lists; each certificate below the root then needs one of its issuer, in force"`
		}
		Pins pinList `unset:"none" desc:"comma list of sha256/BASE64 of public keys; one of them must be in the verified chain, in addition"`
		Cert struct {
			File string `unset:"none" desc:"PEM file with the client certificate and its chain"`
		}
		Key struct {
			File string `unset:"none" desc:"PEM file with the private key of the client certificate; both or none"`
		}
		MinVersion     tlsVersion     `split_words:"true" default:"1.2" desc:"lowest TLS version to accept: 1.2 or 1.3"`
		Groups         tlsGroups      `unset:"Go's own" desc:"comma list of key-exchange groups to offer, such as X25519MLKEM768,X25519,P-256; a set: Go has an order of its own"`
		PostQuantum    postQuantum    `split_words:"true" default:"prefer" desc:"hybrid post-quantum key exchange: prefer falls back once, visibly, where the way upstream swallows it; require never does; off"`
		Negotiation    negotiation    `default:"postgres" desc:"postgres asks with SSLRequest; direct begins with TLS and ALPN, for PostgreSQL 17, pgbouncer 1.25 and later"`
		ReloadInterval reloadInterval `split_words:"true" default:"30s" desc:"how often the certificate files are looked at, by content; 0 turns that off; SIGHUP looks at once"`
	}
	Auth struct {
		ChannelBinding channelBinding `split_words:"true" default:"strip" desc:"strip takes SCRAM-SHA-256-PLUS out of the server's offer, as libpq needs it; pass leaves it; bridge asks the client for a cleartext password and logs in itself, bound to the TLS channel, for every driver"`
		Require        requiredAuth   `unset:"any" desc:"comma list of the methods that the upstream may ask for: scram-sha-256, md5, password, gss, sspi, none; or each with an exclamation mark, to exclude it"`
		Password       struct {
			File string `unset:"ask the client" desc:"file with the password that bridge uses for every login; read for each"`
		}
	}
	DialTimeout     period        `split_words:"true" default:"10s" desc:"for name resolution, TCP, SSLRequest and TLS in all"`
	LoginTimeout    period        `split_words:"true" default:"60s" desc:"from accepting a client until the upstream says that it is ready for a query"`
	MaxSessions     limit         `split_words:"true" default:"0" desc:"beyond it a client gets SQLSTATE 53300; cancel requests do not count; 0 is no limit"`
	ShutdownTimeout period        `split_words:"true" default:"25s" desc:"how long running sessions may go on after SIGTERM"`
	HealthAddr      healthAddr    `split_words:"true" default:"127.0.0.1:9632" desc:"address for probes and metrics; off turns it off; Kubernetes needs :9632"`
	LogLevel        logLevel      `split_words:"true" default:"info" desc:"debug, info, warn or error"`
	LogFormat       logFormat     `split_words:"true" default:"auto" desc:"json or console; auto is a coloured console on a terminal, else json"`
	UnknownEnv      unknownPolicy `split_words:"true" default:"error" desc:"what to do about unknown PGORIGIN_ variables: error, warn or ignore; never ignores TLS_ and AUTH_"`
}

// load reads the settings from env, as os.Environ returns it, and reports every problem at once, sorted by variable.
// Warnings are unknown variables that the user chose to be warned about. Files are not touched here.
// It borrows the environment of the process for a moment and so must not run twice at a time.
func load(env []string) (s settings, warnings, problems []problem) {
	values := pgoriginValues(env)
	problems = readValues(values, &s)
	problems = append(problems, s.check(problems)...)
	problems = append(problems, s.checkAuth()...)
	problems = append(problems, s.checkSockets()...)
	unknown := unknownVariables(values)
	for _, u := range unknown {
		switch {
		case u.security || s.UnknownEnv == unknownError:
			problems = append(problems, u.problem)
		case s.UnknownEnv == unknownWarn:
			warnings = append(warnings, u.problem)
		}
	}
	sortProblems(problems)
	return s, warnings, problems
}

// pgoriginValues picks our variables. An empty value counts as unset: compose writes one for ${X:-}.
func pgoriginValues(env []string) map[string]string {
	values := map[string]string{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) && strings.TrimSpace(value) != "" {
			values[name] = value
		}
	}
	return values
}

// readValues lets envconfig fill s and collects what does not parse. envconfig stops at the first such value, so it
// runs again without that value, which leaves the default in its place, until it has nothing to say.
func readValues(values map[string]string, s *settings) []problem {
	defer borrowEnviron(values)()
	var problems []problem
	for {
		err := envconfig.Process(strings.TrimSuffix(prefix, "_"), s)
		if err == nil {
			return problems
		}
		var wrong *envconfig.ParseError
		if !errors.As(err, &wrong) {
			return append(problems, problem{variable: prefix + "*", text: err.Error()})
		}
		text := wrong.Err.Error()
		if wrong.TypeName == "bool" {
			text = "expected true or false"
		}
		problems = append(problems, problem{variable: wrong.KeyName, value: wrong.Value, text: text})
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
			if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, prefix) {
				_ = os.Unsetenv(name)
			}
		}
	}
	for _, entry := range os.Environ() {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, prefix) {
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

// check finds what is wrong with values that parse; found are the problems with those that do not.
func (s *settings) check(found []problem) []problem {
	var problems []problem
	if len(s.Upstream.Addr) == 0 && !mentions(found, prefix+"UPSTREAM_ADDR") {
		problems = append(problems, problem{
			variable: prefix + "UPSTREAM_ADDR", unset: true,
			text: "expected the address of pgbouncer or PostgreSQL; set it to host:port, for example pgbouncer.prod.svc:6432",
		})
	}
	for _, addr := range s.Listen.Addr {
		if !s.Listen.AllowNonLoopback && !isLoopback(addr) {
			problems = append(problems, problem{
				variable: prefix + "LISTEN_ADDR", value: addr,
				text: "expected a loopback address, because this leg is plaintext; use 127.0.0.1 or [::1], or set " +
					prefix + "LISTEN_ALLOW_NON_LOOPBACK=true if the network in between is yours",
			})
		}
		for _, upstream := range s.Upstream.Addr {
			if sameAddr(addr, upstream) {
				problems = append(problems, problem{
					variable: prefix + "UPSTREAM_ADDR", value: upstream,
					text: fmt.Sprintf("expected another address than our own %sLISTEN_ADDR (%s), else pgorigin would connect to itself; "+
						"name the real server", prefix, addr),
				})
			}
		}
		if sameAddr(addr, string(s.HealthAddr)) {
			problems = append(problems, problem{
				variable: prefix + "HEALTH_ADDR", value: string(s.HealthAddr),
				text: fmt.Sprintf("expected another address than %sLISTEN_ADDR (%s); choose another port", prefix, addr),
			})
		}
	}
	return problems
}

// loopbackOnly reports whether what a listener is really bound to keeps the promise of LISTEN_ADDR: a name such as
// localhost means what /etc/hosts makes of it.
func (s *settings) loopbackOnly(bound net.Addr) bool {
	tcp, ok := bound.(*net.TCPAddr)
	return s.Listen.AllowNonLoopback || bound.Network() == "unix" || (ok && tcp.IP.IsLoopback())
}
