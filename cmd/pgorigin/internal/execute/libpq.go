package execute

import (
	"cmp"
	"net"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

// fallback is a variable of libpq that becomes a setting of pgorigin as it is. It counts where a URL does not
// have the parameter.
type fallback struct {
	variable, parameter string
	word, unless        string // of pgorigin; unless takes its place, too
}

func fallbacks() []fallback {
	return []fallback{
		{"PGSSLROOTCERT", "sslrootcert", "TLS_CA_FILE", "TLS_CA_PEM"},
		{"PGSSLCERT", "sslcert", "TLS_CERT_FILE", "TLS_CERT_FILE"},
		{"PGSSLKEY", "sslkey", "TLS_KEY_FILE", "TLS_KEY_FILE"},
		{"PGSSLCRL", "sslcrl", "TLS_CRL_FILE", "TLS_CRL_FILE"},
		{"PGSSLNEGOTIATION", "sslnegotiation", "TLS_NEGOTIATION", "TLS_NEGOTIATION"},
		{"PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version", "TLS_MIN_VERSION", "TLS_MIN_VERSION"},
		{"PGREQUIREAUTH", "require_auth", "AUTH_REQUIRE", "AUTH_REQUIRE"},
	}
}

// takeOver turns what libpq reads in the environment, and cannot do without TLS, into settings. It reads no
// host there. What would lead libpq past pgorigin is a problem.
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
		switch value {
		case "", "system", "TLSv1", "TLSv1.1", "TLSv1.2": // what holds anyway, or less
			continue
		}
		if !p.urlHas(f.parameter) && !isSet(p.env, config.Prefix+f.unless) {
			p.fill(f.word, strings.TrimPrefix(value, "TLSv"), f.variable)
		}
	}
	if host.Getenv(env, "PGCHANNELBINDING") == "require" && !p.urlHas("channel_binding") {
		p.fill("AUTH_CHANNEL_BINDING", "bridge", "")
		p.fill("AUTH_REQUIRE", "scram-sha-256-plus", "")
	}
	if isSet(env, "PGSSLCRLDIR") {
		p.warn("pgorigin does not take over PGSSLCRLDIR; put the lists into one file, and name it in " +
			"PGORIGIN_TLS_CRL_FILE")
	}
	p.takeMode(strings.TrimSpace(host.Getenv(env, "PGSSLMODE")))
	return nil
}

// takeMode does with PGSSLMODE what config does with sslmode in a URL.
func (p *plan) takeMode(mode string) {
	const ca, pem = config.Prefix + "TLS_CA_FILE", config.Prefix + "TLS_CA_PEM"
	ownCA := isSet(p.env, ca) || isSet(p.env, pem) || p.urlHas("sslrootcert")
	switch {
	case mode == "", mode == "verify-full", p.urlHas("sslmode"), p.urlHas("ssl"),
		isSet(p.env, config.Prefix+"TLS_VERIFY"):
	case mode == config.VerifyCA && ownCA:
		p.fill("TLS_VERIFY", config.VerifyCA, "")
	case mode == config.VerifyCA:
		p.warn("PGSSLMODE is verify-ca without PGSSLROOTCERT; pgorigin verifies the name, too (verify-full), and " +
			"trusts the system roots")
	default:
		p.warn("PGSSLMODE is %s, which verifies less; pgorigin verifies the certificate chain and the name "+
			"(verify-full)", safetext.Printable(mode))
	}
}

// fill sets a variable of pgorigin that is not set. If name is not empty, it is what the user calls it.
func (p *plan) fill(word, value, name string) {
	variable := config.Prefix + word
	if isSet(p.env, variable) {
		return
	}
	p.env = append(p.env, variable+"="+value)
	p.names[variable] = name
	if word == "TLS_CERT_FILE" && !isSet(p.env, config.Prefix+"TLS_KEY_FILE") {
		p.names[config.Prefix+"TLS_KEY_FILE"] = "PGSSLKEY" // what is missing
	}
}

// urlHas reports whether the URL of the unnamed origin has a parameter.
func (p *plan) urlHas(parameter string) bool {
	return slices.ContainsFunc(p.urls, func(l link) bool {
		return l.origin == p.origins[0] && l.url.Parameter(parameter) != ""
	})
}

// matchHost finds out where PGHOST leads. If that is neither the upstream nor unset, somebody uses it for
// another server, and it stays as it is.
func (p *plan) matchHost(env []string) {
	name, port := cmp.Or(host.Getenv(env, "PGHOST"), host.Getenv(env, "PGHOSTADDR")), host.Getenv(env, "PGPORT")
	upstream := p.origins[0].bound
	if name == "" || upstream == nil {
		return
	}
	hosts, ports := strings.Split(name, ","), strings.Split(cmp.Or(port, "5432"), ",")
	for i, one := range hosts {
		addr := net.JoinHostPort(one, cmp.Or(ports[min(i, len(ports)-1)], "5432"))
		if !slices.ContainsFunc(upstream.Upstream.Addr, func(a string) bool { return strings.EqualFold(a, addr) }) {
			p.keepHost = true
			p.warn("PGHOST and PGPORT stay as they are, because they lead to %s and not to the upstream; if they must "+
				"lead to pgorigin, unset them", safetext.Quote(addr))
			return
		}
	}
}
