package tlsorigin

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// PathState is what is known about post-quantum key exchange with one resolved address.
type PathState string

// The states. The zero value means that nothing is known.
const (
	PathNegotiated  PathState = "negotiated"   // hybrid key exchange works
	PathServerLacks PathState = "server_lacks" // the verified server chose a classical group although hybrids were offered
	PathBlocked     PathState = "path_blocked" // a ClientHello with a hybrid vanished, a classical one did not
	PathDisabled    PathState = "disabled"     // no hybrid is offered
)

// PathStates returns all states.
func PathStates() []PathState {
	return []PathState{PathNegotiated, PathServerLacks, PathBlocked, PathDisabled}
}

// PathChange is a change of what is known about one resolved address.
type PathChange struct {
	Addr     string // host:port as configured
	Resolved string

	Before, After PathState // empty: nothing is known

	// Fallback is the way on which connections go now, Cause why. Both are empty when nothing was fallen back to.
	Fallback Fallback
	Cause    PathCause
	// Until is how long that lasts at least; then a background probe decides.
	Until time.Time
}

const (
	blockedFor    = 10 * time.Minute // after the first fallback; doubles with each probe that finds it confirmed
	maxBlockedFor = 24 * time.Hour
	maxPaths      = 256 // addresses remembered: a name may have other ones each time that it is resolved
)

// path is what is remembered about one resolved address. It decides the next ClientHello and nothing else: every
// connection is verified, whatever stands here.
type path struct {
	route  route // as configured, with the resolved address
	state  PathState
	way    Fallback
	cause  PathCause
	groups []tls.CurveID // nil: those of the configuration
	hold   time.Duration // from one probe to the next
	due    time.Time     // of the next probe; zero: nothing to probe for
	used   time.Time

	learned bool // groups are narrower than way alone would make them: see keyshare.go
	probing bool
}

// paths remembers addresses.
type paths struct {
	exchange *keyExchange
	changed  func(PathChange) // never nil

	mu    sync.Mutex
	known map[string]*path
}

// choose returns the ClientHello for addr. When what is remembered has become old it calls wake, once, to start a probe
// in the background; the caller's connection goes the remembered way all the same.
func (p *paths) choose(wake func(route, net.Addr), r route, addr net.Addr) choice {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	c := choice{}
	if e := p.known[addr.String()]; e != nil {
		e.used = now
		if !e.due.IsZero() && !now.Before(e.due) && !e.probing {
			e.probing = true
			wake(r.to(addr), addr)
		}
		c.groups, c.small = e.groups, e.way == FallbackSmallSegments
	}
	c.fallible = c.groups == nil && p.exchange.classical != nil
	return c
}

// small reports whether connections to addr are opened with small segments.
func (p *paths) small(addr string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.known[addr]
	return e != nil && e.way == FallbackSmallSegments
}

// verified learns from an attempt that has led to a verified peer.
func (p *paths) verified(a *attempt) {
	p.update(a.route.to(a.report.Resolved), a.report.Resolved, func(e *path) {
		now := time.Now()
		switch {
		case a.choice.way != "":
			e.fallBack(a.choice, a.report.Cause, now)
		case a.choice.usual():
			e.way, e.cause, e.groups, e.learned, e.hold, e.due = "", "", nil, false, 0, time.Time{}
		}
		p.exchange.learn(e, a.report.State, now)
		switch {
		case e.way == FallbackClassical:
			e.state = PathBlocked
		case !p.exchange.hybrid:
			e.state = PathDisabled
		case IsHybrid(a.report.State.CurveID):
			e.state = PathNegotiated
		case a.choice.groups == nil: // a narrower offer proves nothing
			e.state = PathServerLacks
		}
	})
}

// fallBack notes that a fallback has worked. Several connections may find that out at the same time; the first counts.
func (e *path) fallBack(c choice, cause PathCause, now time.Time) {
	if e.way == c.way {
		return
	}
	e.way, e.cause, e.groups, e.learned = c.way, cause, c.groups, false
	e.hold = blockedFor
	e.due = now.Add(e.hold)
}

// probed ends a probe of addr. If it succeeded, verified has been told; if it failed, vanished says whether in the way
// that confirms a fallback.
func (p *paths) probed(addr net.Addr, succeeded, vanished bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.known[addr.String()]
	if e == nil {
		return
	}
	e.probing = false
	if succeeded {
		return
	}
	if vanished && e.way != "" {
		e.hold = min(2*e.hold, maxBlockedFor)
	}
	// A server that is down says nothing about the path, and the next answer may wait as long as this one did.
	e.due = time.Now().Add(e.hold)
}

// widen forgets the group that was learned for addr and returns the hello to try instead; ok is false if nothing had
// been learned. What was fallen back to stays as it is.
func (p *paths) widen(addr net.Addr) (wide choice, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.known[addr.String()]
	if e == nil || !e.learned {
		return choice{}, false
	}
	e.learned, e.groups = false, nil
	switch e.way {
	case FallbackClassical:
		e.groups = p.exchange.classical
	case FallbackSmallSegments: // it has its own time again
		e.hold, e.due = blockedFor, time.Now().Add(blockedFor)
	default:
		e.hold, e.due = 0, time.Time{}
	}
	return choice{groups: e.groups, small: e.way == FallbackSmallSegments}, true
}

// update changes what is remembered about addr and reports it if it matters.
func (p *paths) update(r route, addr net.Addr, change func(*path)) {
	p.mu.Lock()
	key := addr.String()
	e, dropped := p.known[key], (*path)(nil)
	if e == nil {
		dropped = p.makeRoom()
		e = &path{route: r}
		p.known[key] = e
	}
	e.used = time.Now()
	before := *e
	change(e)
	after := *e
	p.mu.Unlock()
	if dropped != nil {
		p.changed(PathChange{Addr: dropped.route.host, Resolved: dropped.route.dial, Before: dropped.state})
	}
	if before.state != after.state || before.way != after.way {
		p.changed(PathChange{
			Addr: r.host, Resolved: key, Before: before.state, After: after.state,
			Fallback: after.way, Cause: after.cause, Until: after.due,
		})
	}
}

// makeRoom drops the address that was not used for the longest time, if there are too many, and returns it.
func (p *paths) makeRoom() *path {
	if len(p.known) < maxPaths {
		return nil
	}
	oldestKey, oldest := "", (*path)(nil)
	for key, e := range p.known {
		if oldest == nil || e.used.Before(oldest.used) {
			oldestKey, oldest = key, e
		}
	}
	delete(p.known, oldestKey)
	return oldest
}
