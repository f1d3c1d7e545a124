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

// period is how often spares are looked at: often enough that hardly any client meets a dead one, and no more often
// than an idle process may wake.
const period = time.Second

// refillDelay is how long a session that was given a spare has its start for itself, which on two cores makes it a sixth to
// a third shorter. Clients that come faster than that need more than one spare.
const refillDelay = 5 * time.Millisecond

var errDead = errors.New("a spare connection turned out to be dead when it was used")

// keep looks after spares until ctx ends.
func (p *Pool) keep(ctx context.Context) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		p.look(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-p.wake:
		}
	}
}

// look drops what is not in order and fills up.
func (p *Pool) look(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.ready = slices.DeleteFunc(p.ready, func(spare *Spare) bool { return p.discardFlawed(spare, now) })
	p.refill(now)
	p.lookUp(now)
}

// refill begins to make what is missing. After a failure one dial at a time is enough to find out how things are. p.mu is
// held, as in all that follows.
func (p *Pool) refill(now time.Time) {
	for !p.pause.lasts(now) && len(p.ready)+p.opening+p.closing < p.count {
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

// add makes a spare of conn, unless something has happened since it was begun.
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

// learn draws conclusions from how a spare died. An upstream that says so has counted from the moment at which it accepted
// the connection, and will count the login, too: half of that has to be left. One that just closes may have had a
// restart; several deaths under one limit halve it once.
func (p *Pool) learn(spare *Spare, death error, now time.Time) {
	half := spare.limit / 2
	if errors.Is(death, tlsorigin.ErrUnexpectedData) {
		half = min(half, now.Sub(spare.born)/2)
	}
	p.age.shorten(half, now)
}

// failed notes that there is no way to the upstream at present, or a doubtful one.
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

// dropAll closes all spares and breaks off those that are being made.
func (p *Pool) dropAll(end End) {
	p.endEra()
	p.era, p.endEra = context.WithCancel(p.background.Context())
	p.discard(end, nil, p.ready...)
	p.ready = nil
}

// discard closes spares, which are no longer in p.ready but count until they are closed.
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

// namesPeriod is how often the upstream's names are looked up while there are spares, whose addresses may be given up
// long before they stop answering there. A shorter time would be felt by the name servers of a large cluster.
const namesPeriod = 5 * time.Second

// names follows what the names of the upstream mean.
type names struct {
	hosts   map[string]string // DNS name by host:port as configured; addresses are not in it
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)

	asked   time.Time // guarded by Pool.mu, as all that changes
	running bool
}

// newNames follows nothing when the Dialer has a NetDial of its own, which knows itself what a name means.
func newNames(d *tlsorigin.Dialer) names {
	n := names{hosts: map[string]string{}, resolve: d.Lookup()}
	for _, r := range d.UpstreamAddrs() {
		host, _, _ := net.SplitHostPort(r.Addr) // was checked by Config.routes
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

// all returns the addresses of every host that can be looked up within timeout.
func (n *names) all(ctx context.Context, timeout time.Duration) map[string][]netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found := map[string][]netip.Addr{}
	for addr, host := range n.hosts {
		// A name that cannot be looked up says nothing; the next dial will find out what it means for clients.
		if ips, err := n.resolve(ctx, "ip", host); err == nil {
			found[addr] = ips
		}
	}
	return found
}

// dropMoved drops spares that lead where their names led before asked, but no longer. p.mu is held.
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

// leadsToOne reports whether addr is one of ips, or none that could be compared.
func leadsToOne(ips []netip.Addr, addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return true
	}
	at := tcp.AddrPort().Addr().WithZone("").Unmap()
	return slices.ContainsFunc(ips, func(ip netip.Addr) bool { return ip.WithZone("").Unmap() == at })
}
