package outage

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// upstream is what a Line needs of a Dialer. Tests have others.
type upstream interface {
	// dial dials target, or any address if target is nil.
	dial(ctx context.Context, target net.Addr) (*tlsorigin.Conn, error)
	// heard returns when any dial last got a byte.
	heard() time.Time
	targets(context.Context) ([]*tlsorigin.Addr, *tlsorigin.Error)
	// onConnected returns a context with which dial calls f when it has TCP.
	onConnected(ctx context.Context, f func()) context.Context
	// notReady says that addr refuses logins for now, and returns that as a failure of addr. ready says that it
	// takes them.
	notReady(addr *tlsorigin.Addr, why error) *tlsorigin.Error
	ready(addr *tlsorigin.Addr)
	// elsewhere reports whether there is an address of which nothing bad is known. If not, first is the failure
	// of one that stands before addr in the list and was verified earlier; nil for none.
	elsewhere(addr *tlsorigin.Addr) (there bool, first *tlsorigin.Error)
	close(*tlsorigin.Conn)
	remote(*tlsorigin.Conn) *tlsorigin.Addr
	// silent says that a probe of addr was given up, which began then.
	silent(addr *tlsorigin.Addr, began time.Time, reason tlsorigin.Reason, text string) *tlsorigin.Error
	// unanswered makes an error about no certain address.
	unanswered(text string) *tlsorigin.Error
}

// dialer is the upstream of a Dialer.
type dialer struct{ *tlsorigin.Dialer }

func (d dialer) dial(ctx context.Context, target net.Addr) (*tlsorigin.Conn, error) {
	return d.Dial(ctx, target)
}

func (d dialer) heard() time.Time { return d.Heard() }

func (d dialer) targets(ctx context.Context) ([]*tlsorigin.Addr, *tlsorigin.Error) {
	return d.Targets(ctx)
}

func (d dialer) onConnected(ctx context.Context, f func()) context.Context {
	return tlsorigin.WithConnected(ctx, f)
}

func (d dialer) notReady(addr *tlsorigin.Addr, why error) *tlsorigin.Error {
	return d.NotReady(addr, why)
}

func (d dialer) ready(addr *tlsorigin.Addr) { d.Ready(addr) }

func (d dialer) elsewhere(addr *tlsorigin.Addr) (there bool, first *tlsorigin.Error) {
	known := d.Addresses()
	there = slices.ContainsFunc(known, func(a tlsorigin.AddressStatus) bool {
		return a.State == tlsorigin.AddressGood || a.State == tlsorigin.AddressUnknown
	})
	for _, a := range known {
		switch {
		case a.Resolved == addr.String():
			return there, nil
		case a.Err != nil && !a.Verified.IsZero():
			return there, a.Err
		}
	}
	return there, nil
}

func (d dialer) close(conn *tlsorigin.Conn) { _ = conn.Close() }

func (d dialer) remote(conn *tlsorigin.Conn) *tlsorigin.Addr {
	addr, _ := conn.RemoteAddr().(*tlsorigin.Addr)
	return addr
}

func (d dialer) silent(
	addr *tlsorigin.Addr, began time.Time, reason tlsorigin.Reason, text string,
) *tlsorigin.Error {
	return d.Silent(addr, began, reason, text)
}

func (d dialer) unanswered(text string) *tlsorigin.Error {
	failure := &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamSilent, Addr: d.UpstreamAddrs()[0].Addr, Text: text}
	if !d.Heard().IsZero() {
		failure.Case = tlsorigin.CaseRightPort
	}
	return failure
}
