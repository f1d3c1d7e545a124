package config

import (
	"os"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Config has the values of the variables. envconfig makes the name of a variable from the names of its
// fields. The tag envconfig is never used: with it, envconfig also reads the name without prefix. Defaults
// are in the table.
type Config struct {
	Origin // the unnamed one

	Origins         []string
	DialTimeout     time.Duration `split_words:"true"`
	LoginTimeout    time.Duration `split_words:"true"`
	ShutdownDelay   time.Duration `split_words:"true"`
	ShutdownTimeout time.Duration `split_words:"true"`
	ExitWhenIdle    time.Duration `split_words:"true"` // zero means never
	HealthAddr      Endpoint      `split_words:"true"`
	AdminAddr       Endpoint      `split_words:"true"`
	Readiness       string
	StartupCheck    string        `split_words:"true"`
	ProbeInterval   time.Duration `split_words:"true"`
	LogLevel        zapcore.Level `split_words:"true"`
	LogFormat       LogFormat     `split_words:"true"`
	UnknownEnv      string        `split_words:"true"`

	named []*Origin // in the order of Origins
}

// Origin has the values that each origin has for itself. The type is exported because envconfig ignores an
// embedded struct whose type is not.
type Origin struct {
	Upstream struct {
		Addr     []string
		URL      string        // without user and password
		Wait     time.Duration // zero means that clients do not wait
		Resolver string
	}
	Listen struct {
		Addr             []string
		AllowNonLoopback bool        `split_words:"true"`
		SocketMode       os.FileMode `split_words:"true"`
		AllowUids        []uint32    `split_words:"true"` // none means all
		TLS              string
		TLSCertFile      string `envconfig:"TLS_CERT_FILE"`
		TLSKeyFile       string `envconfig:"TLS_KEY_FILE"`
		TLSCAFile        string `envconfig:"TLS_CA_FILE"`
	}
	TLS struct {
		ServerName     string `split_words:"true"`
		CAFile         string `split_words:"true"`
		CAPem          string `split_words:"true"`
		Verify         string
		CRLFile        string `split_words:"true"`
		Pins           []string
		CertFile       string     `split_words:"true"`
		KeyFile        string     `split_words:"true"`
		MinVersion     tlsVersion `split_words:"true"`
		Groups         groupList
		PostQuantum    tlsorigin.PostQuantum `split_words:"true"`
		Negotiation    tlsorigin.Negotiation
		ResumeFor      time.Duration `split_words:"true"`
		ReloadInterval time.Duration `split_words:"true"` // zero means at SIGHUP only
	}
	Auth struct {
		ChannelBinding string `split_words:"true"`
		Require        methodList
		PasswordFile   string `split_words:"true"`
	}
	WarmSpares  int `split_words:"true"`
	MaxSessions int `split_words:"true"` // zero means no limit

	name      string            // empty for the unnamed origin
	aliases   map[string]string // what people call a variable, by its name; see LoadAs
	values    map[string]string // of all its variables, by word, as people see them
	given     map[string]string // by word, as set for this origin; inherited values are here, too
	inherited map[string]bool   // by word, of a further origin: whether the unnamed one gave the value

	fromURL     map[string]string              // by word, of what the URL gave: where to correct the value, or ""
	urlAccount  func() (user, database string) // nothing prints the two; nil without a URL
	urlNotes    []string                       // what is odd about UPSTREAM_URL
	urlPassword func() (string, error)         // its password; nil unless a bridge is to use it
}

func upstreamVariables() []Variable {
	return []Variable{{
		Word: "UPSTREAM_ADDR", Type: addresses("pgbouncer.prod.svc:6432", false), Required: true, Unset: "required",
		Example: "pgbouncer.prod.svc:6432", Alone: true, Dialer: "Addrs",
		Cure: "give host:port of pgbouncer or PostgreSQL",
		Help: "Address of pgbouncer or PostgreSQL, as host or host:port. The default port is 6432. The " +
			"order of a list is a preference: pgorigin uses a later address if the earlier ones fail or are " +
			"silent. Names are resolved for each connection.",
	}, {
		Word: "UPSTREAM_URL", Type: connectionURL(), Unset: "none", Alone: true,
		Example: "postgres://app@db.example.com/app?sslrootcert=/etc/pgorigin/ca.crt",
		Help: "The connection URL of an application, in place of UPSTREAM_ADDR. The default port " +
			"is 5432. sslrootcert, sslcert, sslkey, sslcrl, ssl_min_protocol_version, sslnegotiation and " +
			"require_auth become settings, unless their variables are set. sslmode=verify-ca with a CA means " +
			"verify-ca, and every other sslmode verify-full. channel_binding=require means bridge. The password " +
			"is never shown, and not used unless AUTH_PASSWORD_FILE says so.",
	}, {
		Word: "UPSTREAM_WAIT", Type: durationOrOff(), Default: "14s",
		Help: "How long a client waits while the upstream is away: down, unreachable, silent, without an " +
			"address in DNS, starting or shutting down. No client waits for what needs a person, such as " +
			"a wrong certificate. A start waits as long for files that do not exist. 0 turns waiting off.",
	}, {
		Word: "UPSTREAM_RESOLVER", Type: resolvers(), Default: tlsorigin.ResolverSystem,
		Example: "10.96.0.10", Dialer: "Resolver",
		Cure: "set the IP address of a DNS server, or system",
		Help: "How pgorigin resolves the names in UPSTREAM_ADDR. system reads /etc/hosts, then asks DNS. dns asks the " +
			"DNS servers of /etc/resolv.conf only: use it if /etc/hosts leads a name to pgorigin. The IP " +
			"address of a DNS server, or IP:port, takes the place of those servers.",
	}}
}

func listenVariables() []Variable {
	return []Variable{{
		Word: "LISTEN_ADDR", Type: addresses("127.0.0.1:6432", true), Default: "127.0.0.1:6432",
		Example: "127.0.0.1:6432,unix:/run/pgorigin", Alone: true,
		Help: "Address for clients. unix:/dir makes the socket /dir/.s.PGSQL.6432, and " +
			"unix:/dir/file that file.",
	}, {
		Word: "LISTEN_ALLOW_NON_LOOPBACK", Type: boolean(), Default: "false",
		Help: "Allow a LISTEN_ADDR that other machines can reach. Their connections are encrypted only if " +
			"they ask for TLS, see LISTEN_TLS.",
	}, {
		Word: "LISTEN_SOCKET_MODE", Type: fileMode(), Default: "0600", Security: true,
		Help: "File mode of Unix sockets.",
	}, {
		Word: "LISTEN_ALLOW_UIDS", Type: userIDs(), Unset: "all", Example: "1000,65532", Security: true,
		Help: "Numeric user IDs that may connect to the Unix sockets, whatever the file mode. LISTEN_ADDR " +
			"may then have no TCP address.",
	}, {
		Word: "LISTEN_TLS", Type: words(off, listenSelfSigned, listenFiles), Default: off,
		Help: "TLS for clients that insist on it, such as with sslmode=require. self-signed makes a CA and a " +
			"certificate at the start, in memory. files uses LISTEN_TLS_CERT_FILE and " +
			"LISTEN_TLS_KEY_FILE. Clients without TLS are served, too. Unix sockets have no TLS.",
	}, {
		Word: "LISTEN_TLS_CA_FILE", Type: text("file"), Unset: "none", Example: "/run/pgorigin/ca.crt",
		Security: true, File: FileWritten,
		Help: "File that pgorigin writes at the start: the CA of LISTEN_TLS=self-signed, for clients that " +
			"verify (sslrootcert). Each pgorigin needs a file of its own.",
	}, {
		Word: "LISTEN_TLS_CERT_FILE", Type: text("file"), Unset: "none", Example: "/etc/pgorigin/listen.crt",
		Security: true, Unless: "LISTEN_TLS_KEY_FILE", File: FileWatched,
		Help: "PEM file with the certificate that clients see, and its chain, for LISTEN_TLS=files.",
	}, {
		Word: "LISTEN_TLS_KEY_FILE", Type: text("file"), Unset: "none", Example: "/etc/pgorigin/listen.key",
		Security: true, Unless: "LISTEN_TLS_CERT_FILE", File: FileWatched,
		Help: "PEM file with the private key of LISTEN_TLS_CERT_FILE.",
	}}
}

func verificationVariables() []Variable {
	return []Variable{{
		Word: "TLS_SERVER_NAME", Type: text("name"), Unset: "host of the upstream", Example: "pgbouncer.prod.svc",
		Security: true, Dialer: "ServerName",
		Cure: "give the DNS name or IP address that the upstream's certificate carries",
		Help: "DNS name or IP address that the upstream's certificate must carry.",
	}, {
		Word: "TLS_CA_FILE", Type: text("file"), Unset: "system roots", Example: "/etc/pgorigin/ca.crt",
		Security: true, Unless: "TLS_CA_PEM", File: FileWatched, Dialer: "CAFile",
		Cure: "give a readable PEM file with the CA certificates that the upstream's certificate chains to",
		Help: "PEM file with the CA certificates that pgorigin trusts. The upstream's certificate must " +
			"chain to one of them.",
	}, {
		Word: "TLS_CA_PEM", Type: text("PEM text"), Unset: "system roots", Example: "-----BEGIN CERTIFICATE-----…",
		Secret: true, Security: true, Unless: "TLS_CA_FILE", File: FileInValue, Dialer: "CAPEM",
		Cure: "give the CA certificates that the upstream's certificate chains to, as PEM text",
		Help: "The content of TLS_CA_FILE as text. Set only one of the two.",
	}, {
		Word: "TLS_VERIFY", Type: verifyModes(), Default: verifyFull, Security: true, Dialer: "VerifyCA",
		Cure: "set one of them, or verify-full",
		Help: "verify-full checks the certificate chain and the name. verify-ca does not check the name, " +
			"and needs TLS_CA_FILE or TLS_CA_PEM.",
	}, {
		Word: "TLS_CRL_FILE", Type: text("file"), Unset: "none", Example: "/etc/pgorigin/crl.pem",
		Security: true, File: FileWatched, Dialer: "CRLFile",
		Cure: "give a readable PEM file with complete CRLs of every authority in the upstream's chain",
		Help: "PEM file with certificate revocation lists. Each certificate below the root then needs a " +
			"valid list of its issuer.",
	}, {
		Word: "TLS_PINS", Type: pins(), Unset: "none",
		Example:  "sha256/jzXEB2Vl57+bMBmTr33uqZ6YnbIdYSiNlDF6Zqg0Zm4=",
		Security: true, Dialer: "Pins",
		Cure: "make one with: openssl x509 -in server.crt -pubkey -noout | openssl pkey -pubin -outform " +
			"der | openssl dgst -sha256 -binary | base64",
		Help: "Pins of public keys, each sha256/BASE64. The verified chain must contain one of these keys.",
	}}
}

func tlsVariables() []Variable {
	return []Variable{{
		Word: "TLS_CERT_FILE", Type: text("file"), Unset: "none", Example: "/etc/pgorigin/client.crt",
		Security: true, Unless: "TLS_KEY_FILE", File: FileWatched, Dialer: "CertFile",
		Cure: "give a readable PEM file with the client certificate, followed by its chain",
		Help: "PEM file with the client certificate and its chain.",
	}, {
		Word: "TLS_KEY_FILE", Type: text("file"), Unset: "none", Example: "/etc/pgorigin/client.key",
		Security: true, Unless: "TLS_CERT_FILE", File: FileWatched, Dialer: "KeyFile",
		Cure: "give a readable PEM file with the unencrypted key of the client certificate",
		Help: "PEM file with the private key of TLS_CERT_FILE. Set both or none.",
	}, {
		Word: "TLS_MIN_VERSION", Type: tlsVersions(), Default: "1.2", Security: true, Dialer: "MinVersion",
		Cure: "set 1.2 or 1.3",
		Help: "Lowest TLS version that pgorigin accepts.",
	}, {
		Word: "TLS_GROUPS", Type: groups(), Unset: "Go's own", Example: "X25519MLKEM768,X25519,P-256",
		Security: true, Dialer: "Groups",
		Cure: "give a comma list such as X25519MLKEM768,X25519,P-256,P-384,P-521, or leave it out",
		Help: "Key-exchange groups that pgorigin offers. Their order has no effect: Go has its own.",
	}, {
		Word: "TLS_POST_QUANTUM", Type: postQuantumPolicies(), Default: "prefer",
		Security: true, Dialer: "PostQuantum",
		Cure: "remove tlsmlkem=0 from GODEBUG, or set prefer",
		Help: "Hybrid post-quantum key exchange. With prefer, pgorigin falls back once, visibly, if the " +
			"network drops its large ClientHello. With require, it never falls back.",
	}, {
		Word: "TLS_NEGOTIATION", Type: negotiations(), Default: "postgres",
		Security: true, Dialer: "Negotiation",
		Cure: "set postgres or direct",
		Help: "postgres sends SSLRequest first. direct begins with TLS and ALPN, which needs PostgreSQL 17 " +
			"or pgbouncer 1.25.",
	}, {
		Word: "TLS_RESUME_FOR", Type: durationOrOff(), Default: "10m", Security: true, Dialer: "ResumeFor",
		Cure: "set a duration such as 10m, or 0",
		Help: "How long after a full TLS 1.3 handshake pgorigin may resume its session. The upstream then " +
			"signs nothing new. pgorigin still verifies everything else. 0 turns resumption off.",
	}, {
		Word: "TLS_RELOAD_INTERVAL", Type: reloadInterval(), Default: "30s", Security: true,
		Help: "How often pgorigin looks for changes in the certificate files. SIGHUP makes it look at once. " +
			"0 turns the interval off.",
	}}
}

func authVariables() []Variable {
	return []Variable{{
		Word: "AUTH_CHANNEL_BINDING", Type: words("strip", "pass", "bridge"), Default: "strip", Security: true,
		Help: "strip removes SCRAM-SHA-256-PLUS from the upstream's offer, because libpq refuses it. pass " +
			"leaves it. With bridge, pgorigin asks the client for a cleartext password and logs in " +
			"itself, bound to the TLS channel. bridge works with every driver.",
	}, {
		Word: "AUTH_REQUIRE", Type: authMethods(), Unset: "any", Example: "scram-sha-256", Security: true,
		Help: "Methods that the upstream may ask for: scram-sha-256, scram-sha-256-plus (bridge only), " +
			"oauth, md5, password, gss, sspi, none. With an exclamation mark before each, the list " +
			"excludes them. Without a list of allowed methods, bridge accepts only scram-sha-256.",
	}, {
		Word: "AUTH_PASSWORD_FILE", Type: text("file"), Unset: "ask the client", Example: "/run/secrets/password",
		Security: true, Unless: "AUTH_CHANNEL_BINDING", File: FileEachLogin,
		Help: "File with the password that bridge uses for every login. The word UPSTREAM_URL means the " +
			"password in that URL.",
	}}
}

func connectionVariables() []Variable {
	return []Variable{{
		Word: "WARM_SPARES", Type: spareCount(), Default: "0",
		Help: "Verified connections that pgorigin keeps ready for clients. Each is a process of " +
			"PostgreSQL, or counts towards max_client_conn of pgbouncer.",
	}, {
		Word: "MAX_SESSIONS", Type: sessionLimit(), Default: "0",
		Help: "Limit of sessions. Further clients get SQLSTATE 53300. Cancel requests do not count. With " +
			"0, memory and open files set the limit.",
	}}
}

func originsVariables() []Variable {
	return []Variable{{
		Word: "ORIGINS", Type: originNames(), Unset: "none", Example: "reporting,audit",
		Help: "Names of further origins. Each is an upstream with its own listeners and settings.",
	}}
}

func timeoutVariables() []Variable {
	return []Variable{{
		Word: "DIAL_TIMEOUT", Type: duration(), Default: "10s", Dialer: "Timeout",
		Cure: "set a duration such as 10s",
		Help: "Limit for name resolution, TCP, SSLRequest and TLS of all addresses together.",
	}, {
		Word: "LOGIN_TIMEOUT", Type: duration(), Default: "60s",
		Help: "Limit from accepting a client until the upstream is ready for a query. The wait for an " +
			"upstream that is away does not count.",
	}}
}

func shutdownVariables() []Variable {
	return []Variable{{
		Word: "SHUTDOWN_DELAY", Type: durationOrOff(), Default: "0s",
		Help: "How long pgorigin still accepts clients after SIGTERM, while /readyz fails. Set it for " +
			"applications that open connections while they end.",
	}, {
		Word: "SHUTDOWN_TIMEOUT", Type: duration(), Default: "25s",
		Help: "How long running sessions may go on after SHUTDOWN_DELAY.",
	}, {
		Word: "EXIT_WHEN_IDLE", Type: durationOrOff(), Default: "0s",
		Help: "How long after the last session pgorigin ends. Before the first session, it does not end. It " +
			"is for a Job without native sidecars. 0s means never.",
	}}
}

func healthVariables() []Variable {
	return []Variable{{
		Word: "HEALTH_ADDR", Type: healthAddress(), Default: "127.0.0.1:9632",
		Help: "Address for probes and metrics. Kubernetes needs :9632. off turns it off.",
	}, {
		Word: "ADMIN_ADDR", Type: adminAddress(), Default: off, Example: "127.0.0.1:9633",
		Help: "Loopback address or unix:/dir/file for \"pgorigin shutdown\" (POST /quitquitquit) and " +
			"/debug/pprof.",
	}, {
		Word: "READINESS", Type: words("local", "upstream"), Default: "local",
		Help: "With upstream, /readyz fails while the upstream cannot be reached. An outage of the " +
			"database then takes every pod out of service.",
	}, {
		Word: "STARTUP_CHECK", Type: words("none", "upstream"), Default: "none",
		Help: "With upstream, /startupz waits for the first verified connection.",
	}, {
		Word: "PROBE_INTERVAL", Type: probeInterval(), Default: "15s",
		Help: "Interval of the background probe for READINESS and STARTUP_CHECK. Sessions count as probes. " +
			"Up to 20 % jitter.",
	}}
}

func logVariables() []Variable {
	return []Variable{{
		Word: "LOG_LEVEL", Type: words("debug", "info", "warn", "error"), Default: "info",
		Help: "Lowest level that is logged.",
	}, {
		Word: "LOG_FORMAT", Type: words(string(FormatAuto), string(FormatJSON), string(FormatConsole)),
		Default: string(FormatAuto),
		Help:    "auto means coloured console lines on a terminal, and JSON elsewhere.",
	}, {
		Word: "UNKNOWN_ENV", Type: words("error", "warn", "ignore"), Default: "error",
		Help: "What to do about unknown PGORIGIN_ variables. Unknown TLS_ and AUTH_ variables are always " +
			"an error.",
	}}
}

// webhookVariables returns the variables of "pgorigin webhook".
func webhookVariables() []Variable {
	rows := []Variable{{
		Word: "WEBHOOK_LISTEN_ADDR", Type: oneAddress(":8443"), Default: ":8443",
		Help: "Address for the API server and the kubelet. It speaks TLS only.",
	}, {
		Word: "WEBHOOK_CERT_FILE", Type: text("file"), Required: true, Unset: "required", Example: "/tls/tls.crt",
		File: FileWatched, Cure: "expected a PEM file with the certificate of the webhook and its chain",
		Help: "PEM file with the webhook's own certificate and its chain.",
	}, {
		Word: "WEBHOOK_KEY_FILE", Type: text("file"), Required: true, Unset: "required", Example: "/tls/tls.key",
		File: FileWatched, Cure: "expected a PEM file with the private key of WEBHOOK_CERT_FILE",
		Help: "PEM file with the private key of WEBHOOK_CERT_FILE.",
	}, {
		Word: "WEBHOOK_SERVER_NAME", Type: text("name"), Unset: "any", Example: "pgorigin-webhook.pgorigin.svc",
		Help: "Name by which API servers call the webhook. A certificate without it is not used.",
	}, {
		Word: "WEBHOOK_DEFAULTS_DIR", Type: text("folder"), Required: true, Unset: "required", Example: "/defaults",
		File: FileEachPod,
		Cure: "expected a folder with a file for each flag of \"pgorigin inject\", such as image and upstream",
		Help: "Folder with a file for each flag of \"pgorigin inject\", such as image and upstream. Mount " +
			"a ConfigMap here.",
	}, {
		Word: "WEBHOOK_SHUTDOWN_DELAY", Type: durationOrOff(), Default: "5s",
		Help: "How long the webhook still answers after SIGTERM, while /readyz fails.",
	}}
	rows = append(rows, logVariables()[:2]...)
	for i := range rows {
		rows[i].Section = "Webhook"
	}
	return rows
}
