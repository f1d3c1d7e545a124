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
	var problems []config.Problem
	for _, o := range p.origins {
		p.takeFor(o, env)
		for _, wrong := range o.refused(env) {
			if !slices.Contains(problems, wrong) {
				problems = append(problems, wrong)
			}
		}
	}
	return problems
}

// refused returns the values that would make verification weaker than they ask for, or mean nothing, where the
// URL of the origin does not have the parameter.
func (o *origin) refused(env []string) (problems []config.Problem) {
	for _, v := range []struct{ variable, parameter string }{
		{"PGSSLMODE", "sslmode"}, {"PGCHANNELBINDING", "channel_binding"},
	} {
		value := word(env, v.variable)
		if value == "" || o.urlHas(v.parameter) {
			continue
		}
		if err := config.CheckLibpq(v.parameter, value); err != nil {
			problems = append(problems, config.Problem{Variable: v.variable, Value: value, Text: err.Error()})
		}
	}
	const crl = "TLS_CRL_FILE"
	cured := o.urlHas("sslcrldir") || isSet(env, o.prefix+crl) || isSet(env, config.Prefix+crl)
	if isSet(env, "PGSSLCRLDIR") && !cured {
		problems = append(problems, config.Problem{
			Variable: "PGSSLCRLDIR", Value: host.Getenv(env, "PGSSLCRLDIR"),
			Text: "expected no folder, because pgorigin reads one file; put all lists into one, and set " +
				"PGORIGIN_TLS_CRL_FILE to it",
		})
	}
	return problems
}

// word returns the value of a variable that has one of a few words.
func word(env []string, variable string) string {
	return strings.ToLower(strings.TrimSpace(host.Getenv(env, variable)))
}

// takeFor takes over what the URL of one origin does not say.
func (p *plan) takeFor(o *origin, env []string) {
	for _, f := range fallbacks() {
		value := strings.TrimSpace(host.Getenv(env, f.variable))
		switch {
		case value == "", value == "system": // what holds anyway
			continue
		case slices.Contains([]string{"tlsv1", "tlsv1.1", "tlsv1.2"}, strings.ToLower(value)): // or less
			continue
		}
		if !o.urlHas(f.parameter) && !isSet(env, config.Prefix+f.unless) {
			p.fill(o, f.word, strings.TrimPrefix(value, "TLSv"), f.variable)
		}
	}
	if word(env, "PGCHANNELBINDING") == "require" && !o.urlHas("channel_binding") {
		p.fill(o, "AUTH_CHANNEL_BINDING", "bridge", "")
		p.fill(o, "AUTH_REQUIRE", "scram-sha-256-plus", "")
	}
	if !o.urlHas("sslmode") && !o.urlHas("ssl") && !isSet(env, config.Prefix+"TLS_VERIFY") {
		p.takeMode(o, word(env, "PGSSLMODE"))
	}
}

// takeMode does with PGSSLMODE what config does with sslmode in a URL.
func (p *plan) takeMode(o *origin, mode string) {
	ownCA := o.urlHas("sslrootcert")
	for _, word := range []string{"TLS_CA_FILE", "TLS_CA_PEM"} {
		ownCA = ownCA || isSet(p.env, o.prefix+word) || isSet(p.env, config.Prefix+word)
	}
	switch {
	case mode == "", mode == "verify-full":
	case mode == config.VerifyCA && ownCA:
		p.fill(o, "TLS_VERIFY", config.VerifyCA, "")
	case mode == config.VerifyCA:
		p.warn("PGSSLMODE is verify-ca without PGSSLROOTCERT; pgorigin verifies the name, too (verify-full), and " +
			"trusts the system roots")
	default:
		p.warn("PGSSLMODE is %s, which verifies less; pgorigin verifies the certificate chain and the name "+
			"(verify-full)", safetext.Printable(mode))
	}
}

// fill sets a variable of an origin, unless the user has set it. If name is not empty, it is what the user
// calls it.
func (p *plan) fill(o *origin, word, value, name string) {
	variable := o.prefix + word
	if isSet(p.env, variable) || isSet(p.child, config.Prefix+word) {
		return
	}
	p.env = append(p.env, variable+"="+value)
	p.names[variable] = name
	if word == "TLS_CERT_FILE" && !isSet(p.env, o.prefix+"TLS_KEY_FILE") {
		p.names[o.prefix+"TLS_KEY_FILE"] = "PGSSLKEY" // what is missing
	}
}

// urlHas reports whether the URL of the origin has a parameter.
func (o *origin) urlHas(parameter string) bool {
	return o.url != nil && o.url.Parameter(parameter) != ""
}

// needsTLS reports whether libpq insists on TLS where a URL has no sslmode.
func needsTLS(env []string) bool {
	switch word(env, "PGSSLMODE") {
	case "require", "verify-ca", "verify-full":
		return true
	case "":
		return host.Getenv(env, "PGSSLROOTCERT") == "system"
	}
	return false
}

// matchHost decides whether PGHOST is to lead to pgorigin. If it leads to another server, it stays as it is. If
// it is not set and libpq insists on TLS by PGSSLMODE, that may be for other servers, so both stay.
func (p *plan) matchHost(env []string) {
	name, port := cmp.Or(host.Getenv(env, "PGHOST"), host.Getenv(env, "PGHOSTADDR")), host.Getenv(env, "PGPORT")
	if name == "" && len(p.urls) > 0 && needsTLS(env) {
		p.keepHost = true
	}
	upstream := p.origins[0].bound
	if upstream == nil {
		return
	}
	hosts, ports := strings.Split(name, ","), strings.Split(cmp.Or(port, "5432"), ",")
	for i, one := range hosts {
		addr := net.JoinHostPort(one, cmp.Or(ports[min(i, len(ports)-1)], "5432"))
		if one != "" && !slices.ContainsFunc(upstream.Upstream.Addr, func(a string) bool {
			return strings.EqualFold(a, addr)
		}) {
			p.keepHost = true
			p.warn("PGHOST and PGPORT stay as they are, because they lead to %s and not to the upstream; if they must "+
				"lead to pgorigin, unset them", safetext.Quote(addr))
			break
		}
	}
	switch {
	case p.keepHost && word(env, "PGCHANNELBINDING") == "require":
		p.warn("the command does not get PGCHANNELBINDING, because it cannot bind to pgorigin; write " +
			"channel_binding=require into the URLs of other servers")
	case !p.keepHost && needsTLS(env):
		p.warn("the command gets PGSSLMODE=disable, because PGHOST leads to pgorigin; write sslmode into the URLs " +
			"of other servers")
	}
}
