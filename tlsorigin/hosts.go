package tlsorigin

import (
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

// KeyExchangeState is what is known about post-quantum key exchange with one resolved address.
type KeyExchangeState string

// The states. The zero value means that nothing is known.
const (
	// KeyExchangeNegotiated: hybrid key exchange works.
	KeyExchangeNegotiated KeyExchangeState = "negotiated"
	// KeyExchangeServerLacks: the server chose a classical group from an offer with hybrids.
	KeyExchangeServerLacks KeyExchangeState = "server_lacks"
	// KeyExchangeBlocked: a hello with a hybrid vanished, a classical one did not.
	KeyExchangeBlocked KeyExchangeState = "path_blocked"
	// KeyExchangeDisabled: no hybrid is offered.
	KeyExchangeDisabled KeyExchangeState = "disabled"
)

// KeyExchangeStates returns all states.
func KeyExchangeStates() []KeyExchangeState {
	return []KeyExchangeState{
		KeyExchangeNegotiated, KeyExchangeServerLacks, KeyExchangeBlocked, KeyExchangeDisabled,
	}
}

// KeyExchangeChange is a change of what is known about one resolved address.
type KeyExchangeChange struct {
	Addr     string // host:port as configured
	Resolved string

	Before, After KeyExchangeState // empty: nothing is known

	// Fallback is what connections use now, and Cause why. Both are empty if there is no fallback.
	Fallback Fallback
	Cause    VanishCause
	// Until is how long the fallback lasts at least. Then a background probe decides.
	Until time.Time
}

const (
	blockedFor    = 10 * time.Minute // after the first fallback; doubles with each probe that confirms it
	maxBlockedFor = 24 * time.Hour
	maxHosts      = 256       // addresses; a name may have new ones each time that it is resolved
	learnedFor    = time.Hour // a choice of a group is believed without asking again
)

// helloVariant is the ClientHello for one attempt. The zero value is the one that the configuration means.
type helloVariant struct {
	groups   []tls.CurveID // nil means those of the configuration
	small    bool          // in small segments
	fallback Fallback      // this attempt is that fallback
	known    bool          // the address was verified before
	fallible bool          // carries a hybrid, and another hello may follow if it vanishes
}

// isDefault reports whether nothing remembered and no fallback has changed the hello.
func (v helloVariant) isDefault() bool { return v.groups == nil && !v.small && v.fallback == "" }

// hostState is what is remembered about one resolved address. It only decides the next ClientHello. It has no
// effect on verification.
type hostState struct {
	route    route // as configured, with the resolved address
	state    KeyExchangeState
	fallback Fallback
	cause    VanishCause
	groups   []tls.CurveID // nil means those of the configuration
	hold     time.Duration // from one probe to the next
	due      time.Time     // of the next probe; zero means that there is nothing to probe for
	used     time.Time

	learned bool // the upstream chose groups; they are fewer than the fallback alone would offer
	probing bool
}

// hosts remembers resolved addresses.
type hosts struct {
	exchange *keyExchange
	changed  func(KeyExchangeChange) // never nil

	mu    sync.Mutex
	known map[string]*hostState
}

// variant returns the ClientHello for addr. If what is remembered has become old, it calls startProbe, once.
// The caller's connection still gets the remembered hello.
func (h *hosts) variant(startProbe func(route, net.Addr), r route, addr net.Addr) helloVariant {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	c := helloVariant{}
	if e := h.known[addr.String()]; e != nil {
		e.used = now
		if !e.due.IsZero() && !now.Before(e.due) && !e.probing {
			e.probing = true
			startProbe(r.to(addr), addr)
		}
		c.known = true
		c.groups, c.small = e.groups, e.fallback == FallbackSmallSegments
	}
	c.fallible = c.groups == nil && h.exchange.classical != nil
	return c
}

// small reports whether connections to addr are opened with small segments.
func (h *hosts) small(addr string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.known[addr]
	return e != nil && e.fallback == FallbackSmallSegments
}

// verified learns from an attempt whose peer was verified.
func (h *hosts) verified(a *attempt) {
	h.update(a.route.to(a.report.Resolved), a.report.Resolved, func(e *hostState) {
		now := time.Now()
		switch {
		case a.variant.fallback != "":
			e.fallBack(a.variant, a.report.Cause, now)
		case a.variant.isDefault():
			e.fallback, e.cause, e.groups, e.learned, e.hold, e.due = "", "", nil, false, 0, time.Time{}
		}
		e.learnGroup(h.exchange, a.report.State, now)
		switch {
		case e.fallback == FallbackClassical:
			e.state = KeyExchangeBlocked
		case !h.exchange.hybrid:
			e.state = KeyExchangeDisabled
		case IsHybrid(a.report.State.CurveID):
			e.state = KeyExchangeNegotiated
		case a.variant.groups == nil: // a narrower offer proves nothing
			e.state = KeyExchangeServerLacks
		}
	})
}

// fallBack notes that a fallback has worked. If several connections find that out at the same time, the first
// counts.
func (e *hostState) fallBack(c helloVariant, cause VanishCause, now time.Time) {
	if e.fallback == c.fallback {
		return
	}
	e.fallback, e.cause, e.groups, e.learned = c.fallback, cause, c.groups, false
	e.hold = blockedFor
	e.due = now.Add(e.hold)
}

// probed notes the end of a probe of addr. If it succeeded, verified was called before. If it failed,
// vanished says whether that confirms the fallback.
func (h *hosts) probed(addr net.Addr, succeeded, vanished bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.known[addr.String()]
	if e == nil {
		return
	}
	e.probing = false
	if succeeded {
		return
	}
	if vanished && e.fallback != "" {
		e.hold = min(2*e.hold, maxBlockedFor)
	}
	// A server that is down says nothing about the path, so the next probe waits as long as this one did.
	e.due = time.Now().Add(e.hold)
}

// learnGroup remembers the group that a verified upstream asked for by HelloRetryRequest. The next
// ClientHello has its key share and needs no second round trip: PostgreSQL up to 17 has nothing but P-256
// unless told otherwise. crypto/tls sends the share of the first group of its own order, so the groups before
// it are left out. Nobody else can have made this choice: the peer has proved its name, and it was offered
// the hybrids.
func (e *hostState) learnGroup(k *keyExchange, state tls.ConnectionState, now time.Time) {
	if !state.HelloRetryRequest || k.policy == PostQuantumRequire {
		return
	}
	i := slices.Index(k.enabled, state.CurveID)
	if i < 0 {
		return // a hybrid, which comes with the next hello as it came with this one
	}
	e.groups, e.learned = k.enabled[i:], true
	if e.fallback != FallbackClassical {
		// The fallback keeps its own time.
		e.hold, e.due = learnedFor, now.Add(learnedFor)
	}
}

// dropGroups forgets the groups that were learned for addr and returns the hello to try instead. The
// fallback stays. If ok is false, no groups had been learned.
func (h *hosts) dropGroups(addr net.Addr) (wide helloVariant, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.known[addr.String()]
	if e == nil || !e.learned {
		return helloVariant{}, false
	}
	e.learned, e.groups = false, nil
	switch e.fallback {
	case FallbackClassical:
		e.groups = h.exchange.classical
	case FallbackSmallSegments: // it has its own time again
		e.hold, e.due = blockedFor, time.Now().Add(blockedFor)
	default:
		e.hold, e.due = 0, time.Time{}
	}
	return helloVariant{groups: e.groups, small: e.fallback == FallbackSmallSegments}, true
}

// update changes what is remembered about addr and reports what the hook wants to know.
func (h *hosts) update(r route, addr net.Addr, change func(*hostState)) {
	h.mu.Lock()
	key := addr.String()
	e, dropped := h.known[key], (*hostState)(nil)
	if e == nil {
		dropped = h.makeRoom()
		e = &hostState{route: r}
		h.known[key] = e
	}
	e.used = time.Now()
	before := *e
	change(e)
	after := *e
	h.mu.Unlock()
	if dropped != nil {
		h.changed(KeyExchangeChange{
			Addr: dropped.route.host, Resolved: dropped.route.dial, Before: dropped.state,
		})
	}
	if before.state != after.state || before.fallback != after.fallback {
		h.changed(KeyExchangeChange{
			Addr: r.host, Resolved: key, Before: before.state, After: after.state,
			Fallback: after.fallback, Cause: after.cause, Until: after.due,
		})
	}
}

// makeRoom drops the least recently used address if there are too many, and returns it.
func (h *hosts) makeRoom() *hostState {
	if len(h.known) < maxHosts {
		return nil
	}
	oldestKey, oldest := "", (*hostState)(nil)
	for key, e := range h.known {
		if oldest == nil || e.used.Before(oldest.used) {
			oldestKey, oldest = key, e
		}
	}
	delete(h.known, oldestKey)
	return oldest
}
