package spares

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// period is the time between two checks of the spares. It is so short that hardly any client meets a dead
// one, and no shorter than an idle process may wake.
const period = time.Second

// refillDelay keeps the next handshake out of the way of the session that got a spare. On two cores that
// makes its start a sixth to a third shorter. Clients that come faster than that need more than one spare.
const refillDelay = 5 * time.Millisecond

var errDead = errors.New("a spare connection turned out to be dead when it was used")

// keep checks the spares until ctx ends.
func (p *Pool) keep(ctx context.Context) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		p.checkAll(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-p.wake:
		}
	}
}

// checkAll drops spares that are not in order, and makes new ones.
func (p *Pool) checkAll(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.ready = slices.DeleteFunc(p.ready, func(spare *Spare) bool { return p.discardFlawed(spare, now) })
	p.refill(now)
	p.lookUp(now)
}

// refill begins to make the spares that are missing. After a failure it makes one at a time. p.mu is held,
// here and in all that follows, unless the comment says otherwise.
func (p *Pool) refill(now time.Time) {
	for !p.suspended && !p.pause.lasts(now) && len(p.ready)+p.opening+p.closing < p.count {
		if p.opening > 0 && p.pause.remembered(now) {
			return
		}
		p.opening++
		era := p.era
		p.background.Start(func(context.Context) { p.open(era) })
	}
}

// open makes one spare. It does not hold p.mu.
func (p *Pool) open(era context.Context) {
	conn, err := p.dialer.Dial(era, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening--
	switch {
	case err == nil:
		p.add(era, conn)
	case era.Err() == nil:
		p.failed(err)
	}
	p.gone()
}

// add makes a spare of conn, unless its dial began before the latest dropAll.
func (p *Pool) add(era context.Context, conn *tlsorigin.Conn) {
	now := time.Now()
	spare := &Spare{Conn: conn, pool: p, born: now, limit: p.age.limit(now), stretch: jitter()}
	switch {
	case p.closed:
		_ = conn.Close()
	case era.Err() != nil:
		p.discard(EndUnhealthy, nil, spare)
	default:
		p.ready = append(p.ready, spare)
	}
}

// discardFlawed closes spare unless it is in order, and reports whether it did.
func (p *Pool) discardFlawed(spare *Spare, now time.Time) bool {
	if !p.dialer.Current(spare.Conn) {
		p.discard(EndDistrusted, nil, spare)
		return true
	}
	if now.Sub(spare.born) >= stretched(p.age.limit(now), spare.stretch) {
		p.discard(EndAged, nil, spare)
		return true
	}
	err := p.probe(spare.Conn)
	if err != nil {
		p.learn(spare, err, now)
		p.rest(err, now)
		p.discard(EndDead, err, spare)
	}
	return err != nil
}

// learn shortens the limit of the age after a death. An upstream that says why it closes has counted since it
// accepted the connection, and it counts the login, too. So half of that time has to be left. An upstream
// that just closes may have restarted: several deaths under one limit halve it once.
func (p *Pool) learn(spare *Spare, death error, now time.Time) {
	half := spare.limit / 2
	if errors.Is(death, tlsorigin.ErrUnexpectedData) {
		half = min(half, now.Sub(spare.born)/2)
	}
	p.age.shorten(half, now)
}

// failed notes that a dial failed or that a spare was dead when it was used.
func (p *Pool) failed(err error) {
	p.dropAll(EndUnhealthy)
	p.rest(err, time.Now())
}

// rest makes no new spares for a while.
func (p *Pool) rest(err error, now time.Time) {
	if p.pause.lasts(now) || p.closed {
		return
	}
	if wait := p.pause.begin(now); p.trace.Paused != nil {
		p.trace.Paused(err, wait)
	}
}

// dropAll closes all spares and interrupts the dials that are under way.
func (p *Pool) dropAll(end End) {
	p.endEra()
	p.era, p.endEra = context.WithCancel(p.background.Context())
	p.discard(end, nil, p.ready...)
	p.ready = nil
}

// discard closes spares that are no longer in p.ready. They count until they are closed.
func (p *Pool) discard(end End, err error, spares ...*Spare) {
	p.closing += len(spares)
	for _, spare := range spares {
		if p.trace.Discarded != nil {
			p.trace.Discarded(end, time.Since(spare.born), err)
		}
		p.background.Start(func(context.Context) {
			_ = spare.Close()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.closing--
			p.gone()
		})
	}
}

// namesPeriod is the time between two lookups of the upstream's names while there are spares. An address may
// be given up long before it stops answering. The name servers of a large cluster would feel a shorter
// period.
const namesPeriod = 5 * time.Second

// names is what the names of the upstream are looked up with.
type names struct {
	hosts   map[string]string // DNS name by host:port as configured; IP addresses are not in it
	resolve tlsorigin.LookupFunc

	asked   time.Time // guarded by Pool.mu, as is running
	running bool
}

// newNames returns no hosts if the Dialer has a NetDial of its own: only that knows what a name means.
func newNames(d *tlsorigin.Dialer) names {
	n := names{hosts: map[string]string{}, resolve: d.Lookup()}
	for _, r := range d.UpstreamAddrs() {
		host, _, _ := net.SplitHostPort(r.Addr) // NewDialer has checked it
		if _, err := netip.ParseAddr(host); err != nil && d.Lookup() != nil {
			n.hosts[r.Addr] = host
		}
	}
	return n
}

// lookUp begins to look up the names if it is time to. p.mu is held.
func (p *Pool) lookUp(now time.Time) {
	n := &p.names
	if len(n.hosts) == 0 || len(p.ready) == 0 || n.running || now.Sub(n.asked) < namesPeriod {
		return
	}
	n.asked, n.running = now, true
	p.background.Start(func(ctx context.Context) {
		found := n.all(ctx, p.dialer.Timeout())
		p.mu.Lock()
		defer p.mu.Unlock()
		n.running = false
		p.dropMoved(found, now)
	})
}

// all returns the addresses of every host that it can look up within timeout.
func (n *names) all(ctx context.Context, timeout time.Duration) map[string][]netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := map[string][]netip.Addr{}
	for addr, host := range n.hosts {
		// A failed lookup says nothing about the spares. The next dial finds out what it means for clients.
		if ips, err := n.resolve(ctx, "ip", host); err == nil {
			found[addr] = ips
		}
	}
	return found
}

// dropMoved drops spares made before asked whose names no longer have their address. p.mu is held.
func (p *Pool) dropMoved(found map[string][]netip.Addr, asked time.Time) {
	p.ready = slices.DeleteFunc(p.ready, func(spare *Spare) bool {
		at, ok := spare.RemoteAddr().(*tlsorigin.Addr)
		if !ok {
			return false
		}
		ips, known := found[at.Host]
		if !known || spare.born.After(asked) || leadsToOne(ips, at.TCP) {
			return false
		}
		p.discard(EndMoved, nil, spare)
		return true
	})
}

// leadsToOne reports whether addr is one of ips. An address that cannot be compared counts as one.
func leadsToOne(ips []netip.Addr, addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return true
	}
	at := tcp.AddrPort().Addr().WithZone("").Unmap()
	return slices.ContainsFunc(ips, func(ip netip.Addr) bool { return ip.WithZone("").Unmap() == at })
}
