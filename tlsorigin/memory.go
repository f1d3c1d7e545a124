package tlsorigin

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	firstHold = 500 * time.Millisecond // after a failure; doubles with each that follows
	maxHold   = 30 * time.Second
	// stateLife is how long a state is believed without a dial.
	stateLife = 10 * time.Minute
	// maxAddressProbes bounds how many addresses are probed at one time.
	maxAddressProbes = 8
)

// place is where a connection goes, and the name that is proved there.
type place struct{ dial, name string }

func (d *Dialer) place(r route) place {
	if d.resolve == nil { // only netDial knows what host means
		return place{r.host, r.name}
	}
	return place{r.dial, r.name}
}

// past says where a peer was verified before.
type past struct {
	here bool // at this address
	any  bool // at any address of the Dialer
}

// addressMemory is what is remembered about one place. It decides the order of dials, and nothing about
// verification.
type addressMemory struct {
	status  AddressStatus
	connect time.Duration // that TCP took before the latest verification
	hold    time.Duration // until status.Due; zero if the latest dial did not fail
	used    time.Time
	probing bool
}

// addresses remembers places for all dials of a Dialer.
type addresses struct {
	changed func(before, after AddressStatus) // never nil

	mu       sync.Mutex
	known    map[place]*addressMemory
	verified bool // whether any of them ever was
	probes   int  // under way
}

// isBad reports whether an address in this state is tried after the others.
func (e *addressMemory) isBad(now time.Time) bool {
	switch e.status.State {
	case AddressRefused, AddressUnreachable, AddressSilent, AddressFailing:
		return true
	case AddressNotReady: // no probe would tell that it is over
		return now.Before(e.status.Due)
	case AddressUnknown, AddressGood:
	}
	return false
}

// age forgets a state that nobody has asked about for stateLife.
func (e *addressMemory) age(now time.Time) {
	if over := e.used.Add(stateLife); now.After(over) {
		e.enter(AddressUnknown, over, nil)
	}
}

// enter changes the state, and ends the hold.
func (e *addressMemory) enter(state AddressState, now time.Time, why *Error) {
	if state != e.status.State {
		e.status.State, e.status.Since = state, now
	}
	e.status.Err, e.status.Due, e.hold = why, time.Time{}, 0
}

// fail enters a bad state. Failures within one hold count once.
func (e *addressMemory) fail(state AddressState, now time.Time, why *Error) {
	hold, due := e.hold, e.status.Due
	e.enter(state, now, why)
	if hold == 0 || !now.Before(due) {
		hold = min(max(2*hold, firstHold), maxHold)
		due = now.Add(hold - rand.N(hold/5))
	}
	e.hold, e.status.Due = hold, due
}

// update changes what is remembered about p, which r leads to.
func (a *addresses) update(p place, r route, change func(e *addressMemory, now time.Time)) {
	a.mu.Lock()
	now := time.Now()
	e := a.known[p]
	if e == nil {
		a.makeRoom()
		e = &addressMemory{used: now, status: AddressStatus{
			Addr: r.host, Resolved: p.dial, State: AddressUnknown, Since: now,
		}}
		a.known[p] = e
	}
	before := e.status
	e.age(now)
	e.used = now
	change(e, now)
	after := e.status
	a.mu.Unlock()
	if before.State != after.State {
		a.changed(before, after)
	}
}

// makeRoom drops the least recently used place if there are too many.
func (a *addresses) makeRoom() {
	if len(a.known) < maxHosts {
		return
	}
	var oldest place
	for p, e := range a.known {
		if o := a.known[oldest]; o == nil || e.used.Before(o.used) {
			oldest = p
		}
	}
	delete(a.known, oldest)
}

// succeeded notes that the peer was verified. connect is how long TCP took.
func (a *addresses) succeeded(p place, r route, connect time.Duration) {
	a.update(p, r, func(e *addressMemory, now time.Time) {
		a.verified = true
		e.status.Verified = now
		e.connect = connect
		if e.status.State != AddressNotReady { // a server that takes no logins completes handshakes, too
			e.enter(AddressGood, now, nil)
		}
	})
}

// lost notes that a dial, which began then, was silent until another address was verified. Perhaps a packet was
// lost. That is no failure yet, and a probe decides at once.
func (a *addresses) lost(p place, r route, began time.Time, why *Error) {
	a.update(p, r, func(e *addressMemory, now time.Time) {
		if !began.Before(e.status.Verified) && !e.isBad(now) {
			e.enter(AddressSilent, now, why)
			e.status.Due = now
		}
	})
}

// patience returns how long p may be silent before the next address is tried beside it: at least stagger, and
// twice the time that TCP took there the last time.
func (a *addresses) patience(p place) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.known[p]
	if e == nil {
		return stagger
	}
	return min(max(2*e.connect, stagger), maxStagger)
}

// failed notes the failure of a dial that began then.
func (a *addresses) failed(p place, r route, began time.Time, state AddressState, why *Error) {
	a.update(p, r, func(e *addressMemory, now time.Time) {
		if !began.Before(e.status.Verified) { // else a later dial knows better
			e.fail(state, now, why)
		}
	})
}

// isBad reports whether p is tried after the others. A dial asks, so what is remembered stays in use.
func (a *addresses) isBad(p place, r route) (bad bool) {
	if !a.knows(p) {
		return false
	}
	a.update(p, r, func(e *addressMemory, now time.Time) { bad = e.isBad(now) })
	return bad
}

func (a *addresses) knows(p place) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known[p] != nil
}

// status returns what is remembered about p, to which r leads, and whether p is tried after the others.
func (a *addresses) status(p place, r route) (status AddressStatus, bad bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.known[p]
	if e == nil {
		return AddressStatus{Addr: r.host, Resolved: p.dial, State: AddressUnknown}, false
	}
	now, seen := time.Now(), *e
	seen.age(now)
	return seen.status, seen.isBad(now)
}

// recent returns the places of host that dials have asked about lately, the latest maxPerName of them. If DNS
// names others by now, only the good ones count: sessions may use them.
func (a *addresses) recent(host string, others bool) (places []place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p, e := range a.known {
		if e.status.Addr == host && time.Since(e.used) <= stateLife &&
			(!others || e.status.State == AddressGood) {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(p, q place) int {
		return cmp.Or(a.known[q].used.Compare(a.known[p].used), strings.Compare(p.dial, q.dial))
	})
	return places[:min(len(places), maxPerName)]
}

// pastAt returns where a peer was verified before, seen from p.
func (a *addresses) pastAt(p place) past {
	if a == nil {
		return past{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.known[p]
	return past{here: e != nil && !e.status.Verified.IsZero(), any: a.verified}
}

// pastOf is pastAt for all addresses of host.
func (a *addresses) pastOf(host string) past {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := past{any: a.verified}
	for _, e := range a.known {
		found.here = found.here || e.status.Addr == host && !e.status.Verified.IsZero()
	}
	return found
}

// mayProbe reports whether a probe of p is to start. The caller calls probed when it has ended.
func (a *addresses) mayProbe(p place) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, now := a.known[p], time.Now()
	if e == nil || e.probing || !e.isBad(now) || now.Before(e.status.Due) || a.probes == maxAddressProbes {
		return false
	}
	e.probing = true
	a.probes++
	return true
}

func (a *addresses) probed(p place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.probes--
	if e := a.known[p]; e != nil {
		e.probing = false
	}
}

// reloaded forgets failures that new files may have cured.
func (a *addresses) reloaded() {
	a.mu.Lock()
	var before, after []AddressStatus
	for _, e := range a.known {
		if e.status.State == AddressFailing {
			before = append(before, e.status)
			e.enter(AddressUnknown, time.Now(), nil)
			after = append(after, e.status)
		}
	}
	a.mu.Unlock()
	for i := range before {
		a.changed(before[i], after[i])
	}
}

// learn remembers the result of a dial of r. The dial began then, and had budget as its limit.
func (d *Dialer) learn(r route, began time.Time, budget time.Duration, result outcome) {
	switch {
	case result.conn != nil:
		d.addresses.succeeded(d.place(r), r, result.connect)
	case result.failure != nil:
		if state := result.failure.state(); state != "" && (budget >= stagger || !result.failure.isTimeout()) {
			d.addresses.failed(d.place(r), r, began, state, result.failure)
		}
	}
}

// errOtherHellos ends an attempt that could not send its ClientHello in time.
var errOtherHellos = errors.New("other handshakes waited for the answer of this address")

// state returns the state of an address that fails this way; "" if the failure is not its own.
func (e *Error) state() AddressState {
	if e.Case == CaseBusyHere || isLocal(e.Err) || errors.Is(e.Err, errOtherHellos) {
		return ""
	}
	switch e.Kind.Layer() {
	case LayerNone:
		return ""
	case LayerTLS, LayerCertificate:
		return AddressFailing
	case LayerNetwork:
	}
	switch e.Kind { //nolint:exhaustive // the rest of the layer
	case ReasonUpstreamTimeout, ReasonUpstreamSilent:
		return AddressSilent
	case ReasonUpstreamUnreachable, ReasonUpstreamDNS, ReasonDNSNoAddress:
		return AddressUnreachable
	}
	return AddressRefused
}

// isTimeout reports whether more time might have helped.
func (e *Error) isTimeout() bool {
	return e.Kind == ReasonUpstreamTimeout || e.Kind == ReasonUpstreamSilent || e.Kind == ReasonTLSTimeout
}

// probeAddresses probes those of routes that are bad and whose hold is over. No client waits for it.
func (d *Dialer) probeAddresses(routes []route) {
	for _, r := range routes {
		p := d.place(r)
		if !d.addresses.mayProbe(p) {
			continue
		}
		started := d.background.Start(func(ctx context.Context) {
			defer d.addresses.probed(p)
			result := d.open(ctx, r, d.state.Load(), d.timeout, options{probe: true})
			if result.conn != nil {
				_ = result.conn.Close()
			}
		})
		if !started {
			d.addresses.probed(p)
		}
	}
}
