package execute

import (
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// fallback is a variable of libpq. It counts where a URL does not have the parameter.
type fallback struct {
	variable, parameter string
	word, unless        string // of pgorigin; unless takes its place, too
}

// fallbacks returns those that become a setting of pgorigin as they are.
func fallbacks() []fallback {
	return []fallback{
		{"PGSSLROOTCERT", "sslrootcert", "TLS_CA_FILE", "TLS_CA_PEM"},
		{"PGSSLCERT", "sslcert", "TLS_CERT_FILE", "TLS_CERT_FILE"},
		{"PGSSLKEY", "sslkey", "TLS_KEY_FILE", "TLS_KEY_FILE"},
		{"PGSSLCRL", "sslcrl", "TLS_CRL_FILE", "TLS_CRL_FILE"},
		{"PGREQUIREAUTH", "require_auth", "AUTH_REQUIRE", "AUTH_REQUIRE"},
	}
}

// takeOver turns what libpq reads in the environment, and cannot do without TLS, into settings. Of the hosts in
// the environment it reads none. What would lead libpq past pgorigin is a problem.
func (p *plan) takeOver(env []string) []config.Problem {
	if isSet(env, "PGSERVICE") {
		return []config.Problem{{
			Variable: "PGSERVICE", Value: host.Getenv(env, "PGSERVICE"),
			Text: "expected no service, because libpq would connect to the host in that file; " +
				"set PGORIGIN_UPSTREAM_ADDR to that host, PGUSER and PGDATABASE, and unset PGSERVICE",
		}}
	}
	for _, f := range fallbacks() {
		value := strings.TrimSpace(host.Getenv(env, f.variable))
		if value != "" && value != "system" && !p.urlHas(f.parameter) && !isSet(p.env, config.Prefix+f.unless) {
			p.fill(f.word, value)
			p.names[config.Prefix+f.word] = f.variable
		}
	}
	if host.Getenv(env, "PGSSLNEGOTIATION") == "direct" && !p.urlHas("sslnegotiation") {
		p.fill("TLS_NEGOTIATION", "direct")
	}
	if host.Getenv(env, "PGSSLMINPROTOCOLVERSION") == "TLSv1.3" && !p.urlHas("ssl_min_protocol_version") {
		p.fill("TLS_MIN_VERSION", "1.3")
	}
	if host.Getenv(env, "PGCHANNELBINDING") == "require" && !p.urlHas("channel_binding") {
		p.fill("AUTH_CHANNEL_BINDING", "bridge")
		p.fill("AUTH_REQUIRE", "scram-sha-256-plus")
	}
	if isSet(env, "PGSSLCRLDIR") {
		p.warn("pgorigin does not take over PGSSLCRLDIR; put the lists into one file, and name it in " +
			"PGORIGIN_TLS_CRL_FILE")
	}
	return nil
}

// fill sets a variable of pgorigin that is not set.
func (p *plan) fill(word, value string) {
	if !isSet(p.env, config.Prefix+word) {
		p.env = append(p.env, config.Prefix+word+"="+value)
	}
}

// urlHas reports whether the URL of the unnamed origin has a parameter.
func (p *plan) urlHas(parameter string) bool {
	return slices.ContainsFunc(p.urls, func(l link) bool {
		return l.origin == p.origins[0] && l.url.Parameter(parameter) != ""
	})
}
