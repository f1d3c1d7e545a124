package main

// A room is one package of the product and what it may import besides the standard library.
type room struct {
	// Package is the folder, as seen from the top of the repository.
	Package string
	// Rooms are packages of this repository; "pgwire/..." is pgwire and what is below it, helpers of tests excepted.
	// Each stands further down in the table, so no import points upward.
	Rooms []string
	// Libraries are modules of others, and "crypto/tls": the one part of the standard library with a rule.
	Libraries []string
}

// Libraries that rows name.
const (
	cobra       = "github.com/spf13/cobra"
	pflag       = "github.com/spf13/pflag"
	configYAML  = "go.yaml.in/yaml/v3"
	cryptoBytes = "golang.org/x/crypto/cryptobyte"
	cryptoTLS   = "crypto/tls"
	dnsMessages = "golang.org/x/net"
	envconfig   = "github.com/kelseyhightower/envconfig"
	passfile    = "github.com/jackc/pgpassfile"
	prometheus  = "github.com/prometheus/client_golang"
	messages    = "github.com/jackc/pgproto3/v2"
	templates   = "github.com/valyala/quicktemplate"
	systemCalls = "golang.org/x/sys"
	systemd     = "github.com/coreos/go-systemd/v22"
	unicodeNorm = "golang.org/x/text"
	zap         = "go.uber.org/zap"
)

// Rooms under cmd that other rooms name.
const (
	command  = "cmd/pgorigin"
	internal = command + "/internal/"
	execute  = internal + "execute"
	sidecar  = internal + "sidecar"
	check    = internal + "check"
	observe  = internal + "observe"
	advice   = internal + "advice"
	stacks   = internal + "stacks"
	control  = internal + "control"
	config   = internal + "config"
	inject   = internal + "inject"
	webhook  = internal + "webhook"
	host     = internal + "host"
	pgurl    = internal + "pgurl"
	listen   = internal + "listentls"
	keyPair  = internal + "keypair"
	cli      = internal + "cli"
	safetext = internal + "safetext"
)

// house is every room of the product, from the roof down. An import that no row grants is refused.
func house() []room {
	const leafPgwire, leafTLS, leafHealth = "pgwire/...", "tlsorigin/...", "health/..."
	return []room{
		{
			Package:   command,
			Rooms:     []string{execute, sidecar, check, advice, control, webhook, config, inject, cli, safetext},
			Libraries: []string{cobra, pflag},
		},
		// execute runs a command beside a sidecar.
		{
			Package: execute,
			Rooms:   []string{sidecar, observe, config, pgurl, host, cli, safetext, "pgwire"},
		},
		// sidecar runs one pgorigin.
		{
			Package:   sidecar,
			Rooms:     []string{observe, advice, listen, keyPair, config, host, cli, safetext, leafPgwire, leafTLS, leafHealth},
			Libraries: []string{zap, systemd, cryptoTLS},
		},
		// check neither serves nor logs nor counts.
		{
			Package:   check,
			Rooms:     []string{advice, stacks, config, host, cli, safetext, leafPgwire, leafTLS},
			Libraries: []string{cryptoTLS, passfile},
		},
		// stacks predicts, from what it is told.
		{Package: stacks, Rooms: []string{leafTLS}},
		// webhook serves what inject does, and logs and counts it.
		{
			Package:   webhook,
			Rooms:     []string{observe, config, inject, keyPair, host, cli, safetext, "tlsorigin/configfile"},
			Libraries: []string{zap, prometheus},
		},
		// observe logs and counts for a sidecar.
		{
			Package:   observe,
			Rooms:     []string{advice, keyPair, config, host, cli, safetext, leafPgwire, leafTLS, leafHealth},
			Libraries: []string{zap, cryptoTLS},
		},
		// advice words what the leaves find.
		{
			Package:   advice,
			Rooms:     []string{config, safetext, leafPgwire, leafTLS, leafHealth},
			Libraries: []string{cryptoTLS},
		},
		// listentls is TLS for clients.
		{Package: listen, Rooms: []string{"tlsorigin/configfile", "tlsorigin/alert", leafPgwire}, Libraries: []string{cryptoTLS}},
		// control asks a pgorigin that runs.
		{Package: control, Rooms: []string{config, cli, safetext}},
		// config is the only room that reads the environment. Of zap it knows the levels.
		{
			Package:   config,
			Rooms:     []string{pgurl, safetext, leafPgwire, leafTLS},
			Libraries: []string{envconfig, cryptoTLS, zap},
		},
		// inject edits pods and manifests, and has a certificate of its own.
		{Package: inject, Rooms: []string{"charts", keyPair, leafHealth}, Libraries: []string{configYAML, cryptoTLS}},
		// charts has the injection contract.
		{Package: "charts"},
		// keypair is the certificate of a server.
		{Package: keyPair, Rooms: []string{"tlsorigin/configfile"}, Libraries: []string{cryptoTLS}},
		{Package: host, Libraries: []string{systemCalls}},
		{Package: internal + "cmdtest", Rooms: []string{cli, "pgwire/pgtest", "tlsorigin/tlstest"}, Libraries: []string{cryptoTLS}},
		{Package: internal + "golden"},
		// pgurl reads the URLs of applications, and nothing else.
		{Package: pgurl},
		{Package: cli},
		{Package: safetext},

		// Nobody in tlsorigin knows its spares, or the line of clients. verify opens no connection.
		{Package: "tlsorigin/outage", Rooms: []string{"tlsorigin", "tlsorigin/internal/background"}},
		{Package: "tlsorigin/spares", Rooms: []string{"tlsorigin", "tlsorigin/internal/background"}},
		{
			Package:   "tlsorigin/diagnose",
			Rooms:     []string{"tlsorigin", "tlsorigin/internal/verify"},
			Libraries: []string{cryptoTLS, cryptoBytes},
		},
		{
			Package: "tlsorigin",
			Rooms: []string{
				"tlsorigin/internal/verify", "tlsorigin/internal/resolver", "tlsorigin/internal/safetext",
				"tlsorigin/internal/background", "tlsorigin/configfile", "tlsorigin/alert",
			},
			Libraries: []string{cryptoTLS, cryptoBytes, systemCalls},
		},
		{Package: "tlsorigin/internal/verify", Rooms: []string{"tlsorigin/internal/safetext"}, Libraries: []string{cryptoBytes}},
		{Package: "tlsorigin/internal/resolver", Rooms: []string{"tlsorigin/configfile"}, Libraries: []string{dnsMessages}},
		{Package: "tlsorigin/internal/safetext"},
		{Package: "tlsorigin/internal/background"},
		{Package: "tlsorigin/internal/peertest", Rooms: []string{"tlsorigin/tlstest"}, Libraries: []string{cryptoTLS}},
		{Package: "tlsorigin/configfile", Libraries: []string{systemCalls}},
		{Package: "tlsorigin/alert", Libraries: []string{cryptoTLS}},

		// scram and evloop know nothing of sessions. Nothing below pgwire knows TLS.
		{Package: "pgwire/pgclient", Rooms: []string{"pgwire"}, Libraries: []string{messages}},
		{
			Package: "pgwire", Rooms: []string{"pgwire/internal/scram", "pgwire/internal/evloop"},
			Libraries: []string{messages},
		},
		{Package: "pgwire/internal/scram", Libraries: []string{unicodeNorm}},
		{Package: "pgwire/internal/evloop", Libraries: []string{systemCalls}},

		// health counts what it is told.
		{Package: "health/page", Rooms: []string{"health"}, Libraries: []string{templates}},
		{Package: "health/metrics", Rooms: []string{"health"}, Libraries: []string{prometheus}},
		{Package: "health"},

		// For tests of the packages above them.
		{Package: "pgwire/pgtest", Libraries: []string{messages}},
		{Package: "tlsorigin/tlstest", Libraries: []string{cryptoTLS}},
	}
}
