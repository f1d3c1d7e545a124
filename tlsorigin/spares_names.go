package tlsorigin

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// namesPeriod is how often the upstream's names are looked up while there are spares, whose addresses may be given up
// long before they stop answering there. A shorter time would be felt by the name servers of a large cluster.
const namesPeriod = 5 * time.Second

// spareNames follows what the names of the upstream mean.
type spareNames struct {
	hosts   map[string]string // DNS name by host:port as configured; addresses are not in it
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)

	asked   time.Time // guarded by Spares.mu, as all that changes
	running bool
}

// newSpareNames follows nothing when the Dialer has a NetDial of its own, which knows itself what a name means.
func newSpareNames(d *Dialer) spareNames {
	n := spareNames{hosts: map[string]string{}, resolve: d.resolve}
	for _, r := range d.upstream {
		host, _, _ := net.SplitHostPort(r.host) // was checked by Config.routes
		if _, err := netip.ParseAddr(host); err != nil && d.resolve != nil {
			n.hosts[r.host] = host
		}
	}
	return n
}

// lookUp begins to look up the names if it is time to. s.mu is held.
func (s *Spares) lookUp(now time.Time) {
	n := &s.names
	if len(n.hosts) == 0 || len(s.ready) == 0 || n.running || now.Sub(n.asked) < namesPeriod {
		return
	}
	n.asked, n.running = now, true
	s.background.start(func(ctx context.Context) {
		found := n.all(ctx, s.dialer.timeout)
		s.mu.Lock()
		defer s.mu.Unlock()
		n.running = false
		s.dropMoved(found, now)
	})
}

// all returns the addresses of every host that can be looked up within timeout.
func (n *spareNames) all(ctx context.Context, timeout time.Duration) map[string][]netip.Addr {
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

// dropMoved drops spares that lead where their names led before asked, but no longer. s.mu is held.
func (s *Spares) dropMoved(found map[string][]netip.Addr, asked time.Time) {
	s.ready = slices.DeleteFunc(s.ready, func(spare *Spare) bool {
		ips, known := found[spare.remote.Host]
		if !known || spare.born.After(asked) || leadsToOne(ips, spare.remote.TCP) {
			return false
		}
		s.discard(SpareMoved, nil, spare)
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
