package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
)

// check finds values that parse and cannot work; found are the values that do not parse.
func (o *Origin) check(found []finding) []finding {
	var wrong []finding
	if about(found, "LISTEN_ADDR") {
		o.Listen.Addr = nil // not the default
	}
	if len(o.Upstream.Addr) == 0 && !about(found, "UPSTREAM_ADDR") && !about(found, "UPSTREAM_URL") {
		wrong = append(wrong, finding{
			word: "UPSTREAM_ADDR", unset: true,
			text: "expected the address of pgbouncer or PostgreSQL; set it to host:port, " +
				"for example pgbouncer.prod.svc:6432, or set {own:UPSTREAM_URL}",
		})
	}
	for _, addr := range o.Listen.Addr {
		if !o.Listen.AllowNonLoopback && !IsLoopback(addr) {
			wrong = append(wrong, finding{
				word: "LISTEN_ADDR", value: addr,
				text: "expected a loopback address, because this leg is plaintext; use 127.0.0.1 or [::1], or set " +
					"{own:LISTEN_ALLOW_NON_LOOPBACK}=true if the network in between is yours",
			})
		}
	}
	if !about(found, "UPSTREAM_URL") { // else nobody knows what it demands of a login
		wrong = append(wrong, o.checkAuth()...)
	}
	wrong = append(wrong, o.checkListenTLS(found)...)
	return append(wrong, o.checkSockets()...)
}

// checkAuth finds contradictions, and a password file that cannot be used.
func (o *Origin) checkAuth() []finding {
	bridge := o.ChannelBinding() == pgwire.BridgeChannelBinding
	require := finding{word: "AUTH_REQUIRE", value: pgwire.AuthMethods(o.Auth.Require).String()}
	if pgwire.AuthMethods(o.Auth.Require).RequiresBinding() && !bridge {
		require.text = "only a bridge can bind a login to the TLS channel; set {own:AUTH_CHANNEL_BINDING}=bridge, " +
			"or scram-sha-256 here"
		return []finding{require}
	}
	if o.AuthMethods().String() == "" && o.Auth.Require != 0 {
		require.text = "it leaves a bridge no method; remove !scram-sha-256, or list the methods that the " +
			"bridge may answer"
		return []finding{require}
	}
	file := finding{word: "AUTH_PASSWORD_FILE", value: o.Auth.PasswordFile}
	open := slices.IndexFunc(o.Listen.Addr, func(addr string) bool { return !IsLoopback(addr) })
	switch {
	case file.value != "":
	case bridge && o.Listen.AllowNonLoopback && open >= 0:
		return []finding{{
			word: "LISTEN_ADDR", value: o.Listen.Addr[open],
			text: "expected a loopback address, because {AUTH_CHANNEL_BINDING}=bridge asks clients for their " +
				"password in plaintext; use 127.0.0.1 or unix:/dir, or set {own:AUTH_PASSWORD_FILE}: " +
				"pgorigin then asks no client",
		}}
	default:
		return nil
	}
	if !bridge {
		file.text = "only a bridge logs in itself; set {own:AUTH_CHANNEL_BINDING}=bridge, or leave this out " +
			"and let clients give their password"
		return []finding{file}
	}
	if file.value == urlPassword {
		return o.checkURLPassword(file)
	}
	if _, err := new(passwordFile).read(file.value); err != nil {
		file.text, file.detail = "{}; expected a readable file with the password alone", err.Error()
		file.fault = faultOf(err)
		return []finding{file}
	}
	return nil
}

// checkURLPassword finds a URL without the password that the bridge is to use.
func (o *Origin) checkURLPassword(file finding) []finding {
	switch {
	case o.urlPassword != nil:
		return nil
	case o.Upstream.URL == "":
		file.text = "expected a password in {own:UPSTREAM_URL}, which is not set; set it, or name a file here"
	default:
		file.text = "expected a password in {own:UPSTREAM_URL}; add it there, or name a file here"
	}
	return []finding{file}
}

// checkSockets refuses a list of users beside a TCP address, which would make it worthless.
func (o *Origin) checkSockets() []finding {
	tcp := slices.IndexFunc(o.Listen.Addr,
		func(addr string) bool { return !strings.HasPrefix(addr, UnixScheme) })
	if len(o.Listen.AllowUids) == 0 || tcp < 0 {
		return nil
	}
	return []finding{{
		word: "LISTEN_ALLOW_UIDS", value: o.values["LISTEN_ALLOW_UIDS"],
		text: "expected only Unix sockets in {LISTEN_ADDR}, but it has {}, where nobody's user ID is known; " +
			"use unix:/dir",
		detail: o.Listen.Addr[tcp],
	}}
}

// checkAddresses finds loops, and listeners that need the same address, within an origin or between several.
func (s *Config) checkAddresses() []Problem {
	var problems []Problem
	origins := s.AllOrigins()
	for i, o := range origins {
		for j, addr := range o.Listen.Addr {
			problems = append(problems, s.checkLoops(o, addr)...)
			for k, other := range origins[:i+1] {
				before := other.Listen.Addr
				if k == i {
					before = before[:j]
				}
				if slices.ContainsFunc(before, func(taken string) bool { return sameListener(taken, addr) }) {
					problems = append(problems, Problem{
						Variable: o.Variable("LISTEN_ADDR"), Value: addr,
						Text: fmt.Sprintf("expected an address that is not in %s already; choose another port",
							other.Variable("LISTEN_ADDR")),
					})
				}
			}
			problems = append(problems, s.checkOwn(addr, o.Variable("LISTEN_ADDR"))...)
		}
	}
	if sameListener(string(s.HealthAddr), string(s.AdminAddr)) {
		problems = append(problems,
			takenBy(s.Variable("ADMIN_ADDR"), string(s.AdminAddr), s.Variable("HEALTH_ADDR"), string(s.HealthAddr)))
	}
	return problems
}

// checkOwn finds an address of the process that is also addr, for clients.
func (s *Config) checkOwn(addr, variable string) []Problem {
	var problems []Problem
	for word, own := range map[string]Endpoint{"HEALTH_ADDR": s.HealthAddr, "ADMIN_ADDR": s.AdminAddr} {
		if sameListener(addr, string(own)) {
			problems = append(problems, takenBy(s.Variable(word), string(own), variable, addr))
		}
	}
	return problems
}

// takenBy is the problem of a variable with the same address as another one.
func takenBy(variable, value, other, addr string) Problem {
	return Problem{
		Variable: variable, Value: value,
		Text: fmt.Sprintf("expected another address than %s (%s); choose another port", other, addr),
	}
}

// checkLoops finds the upstreams, of any origin, at addr, on which o listens.
func (s *Config) checkLoops(o *Origin, addr string) []Problem {
	var problems []Problem
	for _, other := range s.AllOrigins() {
		for _, upstream := range other.Upstream.Addr {
			if sameAddr(addr, upstream) {
				problems = append(problems, Problem{
					Variable: other.Variable("UPSTREAM_ADDR"), Value: upstream,
					Text: fmt.Sprintf(
						"expected another address than our own %s (%s), else pgorigin would connect to itself; "+
							"name the real server", o.Variable("LISTEN_ADDR"), addr),
				})
			}
		}
	}
	return problems
}

// Warnings returns what is inherited and may not be meant, what is too much, and what has no effect.
func (s *Config) Warnings() []Warning {
	var warnings []Warning
	known := hosts(s.Upstream.Addr)
	for _, o := range s.named {
		if !o.inherited["TLS_SERVER_NAME"] || o.TLS.Verify == VerifyCA {
			continue
		}
		for _, host := range hosts(o.Upstream.Addr) {
			if !slices.Contains(known, host) && !strings.EqualFold(host, o.TLS.ServerName) {
				text := o.Fill("pgorigin expects the name {} from {}, too, because {TLS_SERVER_NAME} is inherited; "+
					"if that server has another name, set {own:TLS_SERVER_NAME}",
					safetext.Quote(o.TLS.ServerName), safetext.Quote(host))
				warnings = append(warnings, Warning{o.Name(), text})
			}
		}
	}
	for _, o := range s.AllOrigins() {
		for _, text := range o.urlNotes {
			warnings = append(warnings, Warning{o.Name(), text})
		}
	}
	for _, o := range s.AllOrigins() {
		const share = 10
		if o.WarmSpares > 1 && o.MaxSessions > 0 && o.WarmSpares*share > o.MaxSessions {
			text := o.Fill(
				"{WARM_SPARES}={} is more than a tenth of {MAX_SESSIONS}={}: connections that the upstream "+
					"holds open unused", strconv.Itoa(o.WarmSpares), strconv.Itoa(o.MaxSessions))
			warnings = append(warnings, Warning{o.Name(), text})
		}
	}
	if s.HealthAddr.Off() && (s.Readiness == DependsOnUpstream || s.StartupCheck == DependsOnUpstream) {
		text := s.Fill("{READINESS} and {STARTUP_CHECK} have no effect, because {HEALTH_ADDR}=off")
		warnings = append(warnings, Warning{Text: text})
	}
	return warnings
}

// hosts returns the hosts of addresses, in lower case.
func hosts(addrs []string) []string {
	var hosts []string
	for _, addr := range addrs {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			hosts = append(hosts, strings.ToLower(host))
		}
	}
	return hosts
}
