package main

import (
	"fmt"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"net"
	"slices"
	"strings"
)

// checkSockets refuses a list of users that a TCP address would make worthless.
func (o *OriginSettings) checkSockets() []problem {
	if len(o.Listen.Allow.UIDs) == 0 {
		return nil
	}
	for _, addr := range o.Listen.Addr {
		if !strings.HasPrefix(addr, unixScheme) {
			return []problem{{
				variable: prefix + "LISTEN_ALLOW_UIDS", value: o.Listen.Allow.UIDs.String(),
				text: fmt.Sprintf("expected only Unix sockets in %sLISTEN_ADDR, but it has %s, where nobody's user ID is known; use unix:/dir", prefix, addr),
			}}
		}
	}
	return nil
}

// checkAddresses finds loops and listeners in each other's way, of one origin or between several.
func (s *settings) checkAddresses() []problem {
	var problems []problem
	origins := s.origins()
	for i, o := range origins {
		for j, addr := range o.Listen.Addr {
			problems = append(problems, s.checkLoops(o, addr)...)
			for k, other := range origins[:i+1] {
				before := other.Listen.Addr
				if k == i {
					before = before[:j]
				}
				if slices.ContainsFunc(before, func(taken string) bool { return sameListener(taken, addr) }) {
					problems = append(problems, problem{
						variable: o.variable("LISTEN_ADDR"), value: addr,
						text: fmt.Sprintf("expected an address that is not in %s already; choose another port", other.variable("LISTEN_ADDR")),
					})
				}
			}
			problems = append(problems, s.checkOwn(addr, o.variable("LISTEN_ADDR"))...)
		}
	}
	if sameListener(string(s.HealthAddr), string(s.AdminAddr)) {
		problems = append(problems, takenBy(prefix+"ADMIN_ADDR", string(s.AdminAddr), prefix+"HEALTH_ADDR", string(s.HealthAddr)))
	}
	return problems
}

// checkOwn finds an address of the process itself that clients are to use, too.
func (s *settings) checkOwn(addr, variable string) []problem {
	var problems []problem
	if sameListener(addr, string(s.HealthAddr)) {
		problems = append(problems, takenBy(prefix+"HEALTH_ADDR", string(s.HealthAddr), variable, addr))
	}
	if sameListener(addr, string(s.AdminAddr)) {
		problems = append(problems, takenBy(prefix+"ADMIN_ADDR", string(s.AdminAddr), variable, addr))
	}
	return problems
}

// takenBy is the problem of a variable whose value is the address in another one.
func takenBy(variable, value, other, addr string) problem {
	return problem{variable: variable, value: value, text: fmt.Sprintf("expected another address than %s (%s); choose another port", other, addr)}
}

// checkLoops finds the upstreams, of any origin, that are addr, on which o listens.
func (s *settings) checkLoops(o *OriginSettings, addr string) []problem {
	var problems []problem
	for _, other := range s.origins() {
		for _, upstream := range other.Upstream.Addr {
			if sameAddr(addr, upstream) {
				problems = append(problems, problem{
					variable: other.variable("UPSTREAM_ADDR"), value: upstream,
					text: fmt.Sprintf("expected another address than our own %s (%s), else pgorigin would connect to itself; "+
						"name the real server", o.variable("LISTEN_ADDR"), addr),
				})
			}
		}
	}
	return problems
}

// sameListener reports whether two listen addresses are one.
func sameListener(a, b string) bool {
	if !strings.HasPrefix(a, unixScheme) || !strings.HasPrefix(b, unixScheme) {
		return sameAddr(a, b)
	}
	path1, err1 := socketPath(a)
	path2, err2 := socketPath(b)
	return err1 == nil && err2 == nil && path1 == path2
}

// doubt is something odd about an origin that is no reason not to start.
type doubt struct{ origin, text string }

func (d doubt) String() string {
	if d.origin == "" || d.origin == defaultOrigin {
		return d.text
	}
	return "origin " + d.origin + ": " + d.text
}

// doubts says where what was inherited may not be what was meant.
func (s *settings) doubts() []doubt {
	var doubts []doubt
	known := hosts(s.Upstream.Addr)
	for _, o := range s.named {
		if !o.inherited["TLS_SERVER_NAME"] || o.TLS.Verify == verifyCA {
			continue
		}
		for _, host := range hosts(o.Upstream.Addr) {
			if !slices.Contains(known, host) && !strings.EqualFold(host, o.TLS.ServerName) {
				doubts = append(doubts, doubt{o.name, fmt.Sprintf("the name %s is expected of %s, too, because %sTLS_SERVER_NAME is inherited; "+
					"if that server has another name, set %sTLS_SERVER_NAME", safetext.Quote(o.TLS.ServerName), safetext.Quote(host), prefix, o.prefix())})
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
func (s *settings) probeDoubts() []doubt {
	if s.HealthAddr != "" || s.Readiness == readinessLocal && s.StartupCheck == startupNone {
		return nil
	}
	return []doubt{{text: fmt.Sprintf("%[1]sREADINESS and %[1]sSTARTUP_CHECK have no effect, because %[1]sHEALTH_ADDR=off", prefix)}}
}

// spareDoubts compares the spares with the connections that the upstream is expected to have.
func (o *OriginSettings) spareDoubts() []doubt {
	const share = 10
	if o.WarmSpares <= 1 || o.MaxSessions == 0 || int(o.WarmSpares)*share <= int(o.MaxSessions) {
		return nil
	}
	return []doubt{{o.name, o.rename(fmt.Sprintf("%sWARM_SPARES=%d is more than a tenth of %sMAX_SESSIONS=%d: connections that the "+
		"upstream holds open for nobody", prefix, o.WarmSpares, prefix, o.MaxSessions))}}
}
