package outage

import (
	"context"
	"net"
	"slices"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// upstream is what a Line needs of a Dialer. Tests have others.
type upstream interface {
	// dial dials target, or any address if target is nil.
	dial(ctx context.Context, target net.Addr) (*tlsorigin.Conn, error)
	targets(context.Context) ([]*tlsorigin.Addr, *tlsorigin.Error)
	// onConnected returns a context with which dial calls f when it has TCP.
	onConnected(ctx context.Context, f func()) context.Context
	// notReady says that addr refuses logins for now, ready that it takes them.
	notReady(addr *tlsorigin.Addr, why error)
	ready(addr *tlsorigin.Addr)
	// elsewhere reports whether there is an address of which nothing bad is known.
	elsewhere() bool
	close(*tlsorigin.Conn)
	remote(*tlsorigin.Conn) *tlsorigin.Addr
	// failure makes an error about addr, or about the first configured address if addr is nil.
	failure(addr *tlsorigin.Addr, reason tlsorigin.Reason, text string) *tlsorigin.Error
}

// dialer is the upstream of a Dialer.
type dialer struct{ *tlsorigin.Dialer }

func (d dialer) dial(ctx context.Context, target net.Addr) (*tlsorigin.Conn, error) {
	return d.Dial(ctx, target)
}

func (d dialer) targets(ctx context.Context) ([]*tlsorigin.Addr, *tlsorigin.Error) {
	return d.Targets(ctx)
}

func (d dialer) onConnected(ctx context.Context, f func()) context.Context {
	return tlsorigin.WithConnected(ctx, f)
}

func (d dialer) notReady(addr *tlsorigin.Addr, why error) { d.NotReady(addr, why) }

func (d dialer) ready(addr *tlsorigin.Addr) { d.Ready(addr) }

func (d dialer) elsewhere() bool {
	return slices.ContainsFunc(d.Addresses(), func(a tlsorigin.AddressStatus) bool {
		return a.State == tlsorigin.AddressGood || a.State == tlsorigin.AddressUnknown
	})
}

func (d dialer) close(conn *tlsorigin.Conn) { _ = conn.Close() }

func (d dialer) remote(conn *tlsorigin.Conn) *tlsorigin.Addr {
	addr, _ := conn.RemoteAddr().(*tlsorigin.Addr)
	return addr
}

func (d dialer) failure(addr *tlsorigin.Addr, reason tlsorigin.Reason, text string) *tlsorigin.Error {
	if addr == nil {
		return &tlsorigin.Error{Kind: reason, Addr: d.UpstreamAddrs()[0].Addr, Text: text}
	}
	return &tlsorigin.Error{Kind: reason, Addr: addr.Host, Resolved: addr.TCP, Text: text}
}
