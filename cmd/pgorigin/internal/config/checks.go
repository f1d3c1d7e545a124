package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// checkSockets refuses a list of users that a TCP address would make worthless.
func (o *Origin) checkSockets() []Problem {
	if len(o.Listen.Allow.UIDs) == 0 {
		return nil
	}
	for _, addr := range o.Listen.Addr {
		if !strings.HasPrefix(addr, UnixScheme) {
			return []Problem{{
				Variable: Prefix + "LISTEN_ALLOW_UIDS", Value: o.Listen.Allow.UIDs.String(),
				Text: fmt.Sprintf("expected only Unix sockets in %sLISTEN_ADDR, but it has %s, where nobody's user ID is known; use unix:/dir", Prefix, addr),
			}}
		}
	}
	return nil
}

// checkAddresses finds loops and listeners in each other's way, of one origin or between several.
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
						Text: fmt.Sprintf("expected an address that is not in %s already; choose another port", other.Variable("LISTEN_ADDR")),
					})
				}
			}
			problems = append(problems, s.checkOwn(addr, o.Variable("LISTEN_ADDR"))...)
		}
	}
	if sameListener(string(s.HealthAddr), string(s.AdminAddr)) {
		problems = append(problems, takenBy(Prefix+"ADMIN_ADDR", string(s.AdminAddr), Prefix+"HEALTH_ADDR", string(s.HealthAddr)))
	}
	return problems
}

// checkOwn finds an address of the process itself that clients are to use, too.
func (s *Config) checkOwn(addr, variable string) []Problem {
	var problems []Problem
	if sameListener(addr, string(s.HealthAddr)) {
		problems = append(problems, takenBy(Prefix+"HEALTH_ADDR", string(s.HealthAddr), variable, addr))
	}
	if sameListener(addr, string(s.AdminAddr)) {
		problems = append(problems, takenBy(Prefix+"ADMIN_ADDR", string(s.AdminAddr), variable, addr))
	}
	return problems
}

// takenBy is the problem of a variable whose value is the address in another one.
func takenBy(variable, value, other, addr string) Problem {
	return Problem{Variable: variable, Value: value, Text: fmt.Sprintf("expected another address than %s (%s); choose another port", other, addr)}
}

// checkLoops finds the upstreams, of any origin, that are addr, on which o listens.
func (s *Config) checkLoops(o *Origin, addr string) []Problem {
	var problems []Problem
	for _, other := range s.AllOrigins() {
		for _, upstream := range other.Upstream.Addr {
			if sameAddr(addr, upstream) {
				problems = append(problems, Problem{
					Variable: other.Variable("UPSTREAM_ADDR"), Value: upstream,
					Text: fmt.Sprintf("expected another address than our own %s (%s), else pgorigin would connect to itself; "+
						"name the real server", o.Variable("LISTEN_ADDR"), addr),
				})
			}
		}
	}
	return problems
}

// sameListener reports whether two listen addresses are one.
func sameListener(a, b string) bool {
	if !strings.HasPrefix(a, UnixScheme) || !strings.HasPrefix(b, UnixScheme) {
		return sameAddr(a, b)
	}
	path1, err1 := SocketPath(a)
	path2, err2 := SocketPath(b)
	return err1 == nil && err2 == nil && path1 == path2
}

// Warning is something odd about an origin that is no reason not to start.
type Warning struct{ Origin, Text string }

func (d Warning) String() string {
	if d.Origin == "" || d.Origin == DefaultOrigin {
		return d.Text
	}
	return "origin " + d.Origin + ": " + d.Text
}

// Warnings says where what was inherited may not be what was meant.
func (s *Config) Warnings() []Warning {
	var doubts []Warning
	known := hosts(s.Upstream.Addr)
	for _, o := range s.named {
		if !o.inherited["TLS_SERVER_NAME"] || o.TLS.Verify == VerifyCA {
			continue
		}
		for _, host := range hosts(o.Upstream.Addr) {
			if !slices.Contains(known, host) && !strings.EqualFold(host, o.TLS.ServerName) {
				doubts = append(doubts, Warning{o.Name(), fmt.Sprintf("the name %s is expected of %s, too, because %sTLS_SERVER_NAME is inherited; "+
					"if that server has another name, set %sTLS_SERVER_NAME", safetext.Quote(o.TLS.ServerName), safetext.Quote(host), Prefix, o.prefix())})
			}
		}
	}
	return append(doubts, s.probeDoubts()...)
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

// probeDoubts returns what is set and has no effect.
func (s *Config) probeDoubts() []Warning {
	if s.HealthAddr != "" || s.Readiness == readinessLocal && s.StartupCheck == startupNone {
		return nil
	}
	return []Warning{{Text: fmt.Sprintf("%[1]sREADINESS and %[1]sSTARTUP_CHECK have no effect, because %[1]sHEALTH_ADDR=off", Prefix)}}
}

// SpareWarnings compares the spares with the connections that the upstream is expected to have.
func (o *Origin) SpareWarnings() []Warning {
	const share = 10
	if o.WarmSpares <= 1 || o.MaxSessions == 0 || int(o.WarmSpares)*share <= int(o.MaxSessions) {
		return nil
	}
	return []Warning{{o.Name(), o.Rename(fmt.Sprintf("%sWARM_SPARES=%d is more than a tenth of %sMAX_SESSIONS=%d: connections that the "+
		"upstream holds open for nobody", Prefix, o.WarmSpares, Prefix, o.MaxSessions))}}
}

// DialerWarnings returns what is odd about o: in its files, where found are the warnings of its dialer, and in its spares.
func (o *Origin) DialerWarnings(found []tlsorigin.Warning) []Warning {
	var warnings []Warning
	for _, w := range found {
		warnings = append(warnings, Warning{Origin: o.Name(), Text: o.WarningText(w)})
	}
	return append(warnings, o.SpareWarnings()...)
}
