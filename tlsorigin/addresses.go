package tlsorigin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// AddressState is what is known about one resolved address.
type AddressState string

// The states.
const (
	AddressUnknown     AddressState = "unknown"     // not tried, or not for a long time
	AddressGood        AddressState = "good"        // verified
	AddressRefused     AddressState = "refused"     // refuses TCP, or ends connections before TLS
	AddressUnreachable AddressState = "unreachable" // no route, or no host
	AddressSilent      AddressState = "silent"      // does not answer
	AddressFailing     AddressState = "failing"     // answers, and fails in TLS or in verification
	AddressNotReady    AddressState = "not_ready"   // verified, and takes no logins for now: see Dialer.NotReady
)

// AddressStates returns all states.
func AddressStates() []AddressState {
	return []AddressState{
		AddressUnknown, AddressGood, AddressRefused, AddressUnreachable, AddressSilent, AddressFailing,
		AddressNotReady,
	}
}

// AddressStatus is what the Dialer remembers about one resolved address.
type AddressStatus struct {
	Addr     string // host:port as configured
	Resolved string // address and port
	State    AddressState
	Since    time.Time // of State
	Verified time.Time // the last time that it was verified; zero: never
	Err      *Error    // the latest failure; nil in the states good and unknown
	Due      time.Time // while another address is good, it is not tried before; zero: at any time
}

// Addresses returns what is remembered, in the order in which Dial would try the addresses.
func (d *Dialer) Addresses() []AddressStatus {
	var good, bad []AddressStatus
	seen := map[place]bool{}
	add := func(p place, r route) {
		if status, isBad := d.addresses.status(p, r); seen[p] {
			return
		} else if isBad {
			bad = append(bad, status)
		} else {
			good = append(good, status)
		}
		seen[p] = true
	}
	for _, configured := range d.upstream {
		routes := []route{configured}
		if configured.dns != "" {
			routes = configured.at(d.lookups.latest(configured.dns), 0)
		}
		for _, r := range routes {
			add(d.place(r), r)
		}
		for _, p := range d.addresses.recent(configured.host, len(routes) > 0) {
			add(p, configured)
		}
	}
	return append(good, bad...)
}

// Targets returns all addresses of the upstream, resolved anew, in the order in which Dial would try them. The
// error says why there is none. It is nil, too, if ctx has ended first.
func (d *Dialer) Targets(ctx context.Context) ([]*Addr, *Error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &race{
		dialer: d, began: time.Now(), end: time.Now().Add(d.timeout), names: make([]finding, len(d.upstream)),
		looked: make(chan rankedFinding), silent: true,
	}
	r.lookUp(ctx)
	patience := time.NewTimer(stagger + 50*time.Millisecond) // earlier answers come before that
	defer patience.Stop()
	late := false
	for r.pending > 0 && !(late && slices.ContainsFunc(r.names, func(f finding) bool { return f.routes != nil })) {
		select {
		case f := <-r.looked:
			r.found(f)
		case <-patience.C:
			late = true
		case <-ctx.Done():
			return nil, nil
		}
	}
	var addrs []*Addr
	for next, ok := r.next(r.end); ok; next, ok = r.next(r.end) {
		r.tried = append(r.tried, next.place)
		addrs = append(addrs, next.route.addr())
	}
	if addrs == nil && ctx.Err() == nil {
		return nil, r.failure()
	}
	return addrs, nil
}

// addr returns the address of r.
func (r route) addr() *Addr {
	if to, err := netip.ParseAddrPort(r.dial); err == nil {
		return &Addr{TCP: net.TCPAddrFromAddrPort(to), Host: r.host}
	}
	return &Addr{TCP: opaqueAddr(r.dial), Host: r.host}
}

// opaqueAddr is a host:port that only Config.NetDial resolves.
type opaqueAddr string

func (opaqueAddr) Network() string  { return "tcp" }
func (a opaqueAddr) String() string { return string(a) }

// NotReady says that a verified upstream has refused a login for a reason that passes: it starts or stops, or
// it ends connections. addr is the RemoteAddr of the connection. For a while the address is tried after the
// others. NotReady returns why as a failure of the address.
func (d *Dialer) NotReady(addr net.Addr, why error) *Error {
	failure := &Error{Text: "takes no logins for now", Err: why}
	var worded interface{ Reason() string }
	if errors.As(why, &worded) {
		failure.Kind = Reason(worded.Reason())
	}
	if failure.Kind == ReasonUpstreamGone || failure.Kind == ReasonUpstreamLost {
		failure.Text, failure.Err = "ended the connection before it answered the login", nil
	}
	r, err := d.routeTo(addr)
	if err != nil {
		failure.Addr = addr.String()
		return failure
	}
	failure.Addr = r.host
	p := d.place(r)
	failure.past = d.addresses.pastAt(p)
	d.addresses.update(p, r, func(e *addressMemory, now time.Time) { e.fail(AddressNotReady, now, failure) })
	return failure
}

// Ready says that a verified upstream takes logins. addr is the RemoteAddr of the connection.
func (d *Dialer) Ready(addr net.Addr) {
	r, err := d.routeTo(addr)
	if err != nil {
		return
	}
	d.addresses.update(d.place(r), r, func(e *addressMemory, now time.Time) { e.enter(AddressGood, now, nil) })
}
