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

// Libraries that have a rule.
const (
	cobra       = "github.com/spf13/cobra"
	configYAML  = "go.yaml.in/yaml/v3"
	cryptoTLS   = "crypto/tls"
	envconfig   = "github.com/kelseyhightower/envconfig"
	passfile    = "github.com/jackc/pgpassfile"
	prometheus  = "github.com/prometheus/client_golang"
	messages    = "github.com/jackc/pgproto3/v2"
	systemCalls = "golang.org/x/sys"
	systemd     = "github.com/coreos/go-systemd/v22"
	unicodeNorm = "golang.org/x/text"
	zap         = "go.uber.org/zap"
)

// Rooms under cmd that other rooms name.
const (
	command  = "cmd/pgorigin"
	sidecar  = command + "/internal/sidecar"
	check    = command + "/internal/check"
	observe  = command + "/internal/observe"
	advice   = command + "/internal/advice"
	control  = command + "/internal/control"
	config   = command + "/internal/config"
	host     = command + "/internal/host"
	inject   = command + "/internal/inject"
	oldInput = command + "/inject"
)

// house is every room of the product, from the roof down. An import that no row grants is refused.
func house() []room {
	leaves := []string{"tlsorigin/...", "pgwire/...", "health/..."}
	return []room{
		{
			Package:   command,
			Rooms:     append([]string{sidecar, check, observe, advice, control, config, host, inject, oldInput}, leaves...),
			Libraries: []string{cobra, zap, envconfig, cryptoTLS, passfile, systemd, systemCalls},
		},
		// sidecar runs one pgorigin.
		{
			Package:   sidecar,
			Rooms:     append([]string{observe, advice, control, config, host}, leaves...),
			Libraries: []string{zap, systemd, systemCalls},
		},
		// check never starts, logs or counts.
		{Package: check, Rooms: append([]string{advice, config, host}, leaves...), Libraries: []string{cryptoTLS, passfile}},
		// observe is the only room that logs or counts.
		{Package: observe, Rooms: append([]string{advice, config}, leaves...), Libraries: []string{zap, cryptoTLS}},
		// advice words what the leaves find.
		{Package: advice, Rooms: append([]string{config}, leaves...), Libraries: []string{cryptoTLS}},
		// control asks a pgorigin that runs.
		{Package: control, Rooms: []string{config}},
		// config is the only room that reads the environment.
		{Package: config, Rooms: append([]string{host}, leaves...), Libraries: []string{envconfig, cryptoTLS, zap}},
		{Package: host, Libraries: []string{systemd, systemCalls}},
		// inject edits pods and manifests, and has a certificate of its own.
		{Package: inject, Rooms: []string{"tlsorigin/configfile"}, Libraries: []string{configYAML, cryptoTLS}},
		{Package: oldInput, Rooms: []string{"tlsorigin/configfile"}, Libraries: []string{configYAML, cryptoTLS}},

		// Nobody in tlsorigin knows its spares. verify opens no connection.
		{Package: "tlsorigin/spares", Rooms: []string{"tlsorigin"}, Libraries: []string{cryptoTLS}},
		{Package: "tlsorigin/diagnose", Rooms: []string{"tlsorigin", "tlsorigin/internal/verify"}, Libraries: []string{cryptoTLS}},
		{
			Package: "tlsorigin", Rooms: []string{"tlsorigin/internal/verify", "tlsorigin/internal/safetext", "tlsorigin/configfile"},
			Libraries: []string{cryptoTLS, systemCalls},
		},
		{Package: "tlsorigin/internal/verify", Rooms: []string{"tlsorigin/internal/safetext"}},
		{Package: "tlsorigin/internal/safetext"},
		{Package: "tlsorigin/configfile", Libraries: []string{systemCalls}},

		// scram and evloop know nothing of sessions. Nothing below pgwire knows TLS.
		{Package: "pgwire/pgclient", Rooms: []string{"pgwire", "pgwire/internal/scram"}, Libraries: []string{messages}},
		{
			Package: "pgwire", Rooms: []string{"pgwire/internal/scram", "pgwire/internal/evloop"},
			Libraries: []string{messages, systemCalls, unicodeNorm},
		},
		{Package: "pgwire/internal/scram", Libraries: []string{unicodeNorm}},
		{Package: "pgwire/internal/evloop", Libraries: []string{systemCalls}},

		// health counts what it is told.
		{Package: "health/page", Rooms: []string{"health"}},
		{Package: "health/metrics", Rooms: []string{"health"}, Libraries: []string{prometheus, "github.com/prometheus/common"}},
		{Package: "health"},

		// For tests of the packages above them.
		{Package: "pgwire/pgtest", Libraries: []string{messages}},
		{Package: "tlsorigin/tlstest", Libraries: []string{cryptoTLS}},
	}
}
