package config

import (
	"errors"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// DialerConfig translates the settings of o, one of the origins of s, for tlsorigin.
func (s *Config) DialerConfig(o *Origin, trace *tlsorigin.Trace) tlsorigin.Config {
	return tlsorigin.Config{
		Addrs:       o.Upstream.Addr,
		ServerName:  o.TLS.ServerName,
		CAFile:      o.TLS.CA.File,
		CAPEM:       o.TLS.CA.PEM,
		VerifyCA:    o.TLS.Verify == VerifyCA,
		CRLFile:     o.TLS.CRL.File,
		Pins:        o.TLS.Pins,
		CertFile:    o.TLS.Cert.File,
		KeyFile:     o.TLS.Key.File,
		MinVersion:  uint16(o.TLS.MinVersion),
		Groups:      o.TLS.Groups,
		PostQuantum: tlsorigin.PostQuantum(o.TLS.PostQuantum),
		Negotiation: tlsorigin.Negotiation(o.TLS.Negotiation),
		ResumeFor:   time.Duration(o.TLS.ResumeFor),
		Timeout:     time.Duration(s.DialTimeout),
		Trace:       trace,
	}
}

// fieldRow leads from a field of tlsorigin.Config to its variable and to what to do when it is wrong.
type fieldRow struct{ field, variable, cure string }

func fieldRows() []fieldRow {
	return []fieldRow{
		{"Addrs", "UPSTREAM_ADDR", "give host:port of pgbouncer or PostgreSQL"},
		{"ServerName", "TLS_SERVER_NAME", "give the DNS name or IP address that the upstream's certificate carries"},
		{"CAFile", "TLS_CA_FILE", "give a readable PEM file with the CA certificates that the upstream's certificate chains to"},
		{"CAPEM", "TLS_CA_PEM", "give the CA certificates that the upstream's certificate chains to, as PEM text"},
		{"VerifyCA", "TLS_VERIFY", "set one of them, or verify-full"},
		{"CRLFile", "TLS_CRL_FILE", "give a readable PEM file with complete CRLs of every authority in the upstream's chain"},
		{"Pins", "TLS_PINS", "make one with: openssl x509 -in server.crt -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64"},
		{"CertFile", "TLS_CERT_FILE", "give a readable PEM file with the client certificate, its chain behind it"},
		{"KeyFile", "TLS_KEY_FILE", "give a readable PEM file with the unencrypted key of the client certificate"},
		{"MinVersion", "TLS_MIN_VERSION", "set 1.2 or 1.3"},
		{"Groups", "TLS_GROUPS", "give a comma list such as X25519MLKEM768,X25519,P-256,P-384,P-521, or leave it out"},
		{"PostQuantum", "TLS_POST_QUANTUM", "set prefer, require or off"},
		{"Negotiation", "TLS_NEGOTIATION", "set postgres or direct"},
		{"ResumeFor", "TLS_RESUME_FOR", "set a duration such as 10m, or 0"},
		{"Timeout", "DIAL_TIMEOUT", "set a duration such as 10s"},
	}
}

// DialerProblems translates the joined errors of tlsorigin.NewDialer, with variables as the unnamed origin calls them.
// Those that found already mentions are left out: what did not parse is not there for NewDialer to like.
func (o *Origin) DialerProblems(err error, found []Problem) []Problem {
	var problems []Problem
	for _, e := range unjoin(err) {
		p := Problem{Variable: Prefix + "*", Text: e.Error()}
		var wrong *tlsorigin.ConfigError
		if errors.As(e, &wrong) {
			row := fieldRow{variable: "*"}
			if i := slices.IndexFunc(fieldRows(), func(r fieldRow) bool { return r.field == wrong.Field }); i >= 0 {
				row = fieldRows()[i]
			}
			p.Variable, p.Value, p.Text = Prefix+row.variable, wrong.Value, wrong.Text(fieldVariable)+"; "+row.cure
			if wrong.Field == "CAPEM" {
				p.Value = "" // it could be a key, by mistake
			}
		}
		if !mentions(found, o.Rename(p.Variable)) {
			problems = append(problems, p)
		}
	}
	return problems
}

// unjoin takes apart what errors.Join put together.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// fieldVariable returns the variable of the unnamed origin for a field of tlsorigin.Config.
func fieldVariable(field string) string {
	for _, row := range fieldRows() {
		if row.field == field {
			return Prefix + row.variable
		}
	}
	return field
}

// WarningText words a warning, with variables as o calls them.
func (o *Origin) WarningText(w tlsorigin.Warning) string {
	name := o.Rename(fieldVariable(w.Field))
	if w.Value != "" {
		name += " " + safetext.Quote(w.Value)
	}
	return name + ": " + w.Text
}
