package check

import (
	"fmt"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// Sessions says which address the clients of an origin would get now, or whether they would wait.
type Sessions struct {
	Origin   string `json:"origin"`
	Upstream string `json:"upstream,omitempty"` // as configured; none if no client gets a connection
	Address  string `json:"address,omitempty"`
	Why      string `json:"why,omitempty"` // why it is that address; none if there is no other
	// WaitSeconds is how long a client would wait at most, before it gets the failure.
	WaitSeconds float64 `json:"wait_seconds"`
	Wait        string  `json:"wait,omitempty"` // the same in words; none without a failure
}

// expectSessions adds what clients would meet. check itself never waits. why is the choice of the address.
func (c *originChecker) expectSessions(upstreams []Upstream, got diagnose.Connection, why string) {
	s := Sessions{Origin: c.origin.Name()}
	switch {
	case got.Addr != nil:
		s.Upstream, s.Address, s.Why = got.Addr.Host, got.Addr.String(), why
		if f := firstFailure(upstreams, nil); f != nil {
			c.expectWait(&s, passesInLogin(f))
		}
	case got.Err != nil:
		c.expectWait(&s, got.Err.MayPass())
	}
	c.report.Sessions = append(c.report.Sessions, s)
}

// expectWait says whether clients would wait before they get the failure, which passes by itself or does not.
func (c *originChecker) expectWait(s *Sessions, passes bool) {
	limit := c.origin.Upstream.Wait
	switch {
	case c.options.Target != nil: // no pgorigin is to run
	case !passes:
		s.Wait = "Clients get this error at once: it does not pass by itself."
	case limit == 0:
		s.Wait = c.origin.Fill("Clients get this error at once, because {UPSTREAM_WAIT} is 0.")
	default:
		s.WaitSeconds = limit.Seconds()
		s.Wait = c.origin.Fill("Clients wait for the upstream up to {} ({UPSTREAM_WAIT}), then they get this error.",
			limit.Round(time.Millisecond).String())
	}
}

// passesInLogin reports whether a server that refuses a login will take logins by itself.
func passesInLogin(f *Failure) bool {
	login := f.Stage == advice.StageAuthentication || f.Stage == advice.StageLogin
	starting := f.Reason == string(pgwire.ReasonServerStarting) || f.Reason == string(pgwire.ReasonUpstreamShutdown)
	return login && starting
}

// choice says why a connection is to addr, and not to another address. It is empty if there is no connection,
// or no other address.
func choice(upstreams []Upstream, addr *tlsorigin.Addr) string {
	if addr == nil {
		return ""
	}
	var all, earlier, working int // addresses, those before addr, and the earlier ones that work
	var slower string             // the last of these
	found := false
	for i := range upstreams {
		u := &upstreams[i]
		for j := range u.Addresses {
			a := &u.Addresses[j]
			all++
			found = found || u.Upstream == addr.Host && a.Address == addr.String()
			if found {
				continue
			}
			earlier++
			if a.verified() {
				working++
				slower = a.Address
			}
		}
	}
	switch {
	case all < 2:
		return ""
	case earlier == 0:
		return "it is the first in the list"
	case working == 0:
		return "it is the first in the list that works"
	case working == 1:
		return fmt.Sprintf("it answered sooner than %s, which is before it in the list", slower)
	}
	return fmt.Sprintf("it answered sooner than the %d working addresses before it in the list", working)
}

// sessionsLine says which of several addresses sessions would use.
func (p printer) sessionsLine(s *Sessions) {
	if s.Why == "" {
		return
	}
	label := "sessions"
	if s.Origin != config.DefaultOrigin {
		label += " of origin " + s.Origin
	}
	p.line(branch{}, "", label, fmt.Sprintf("would use %s now: %s", s.Address, s.Why))
}

// waitText says whether clients would wait before they get a failure. It is empty if there is nothing to say.
func (r *Report) waitText(f *Failure) string {
	for i := range r.Sessions {
		if s := &r.Sessions[i]; s.Origin == f.Origin {
			return s.Wait
		}
	}
	return ""
}
