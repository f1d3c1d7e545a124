package sidecar

import (
	"context"
	"net"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// pgwire relays to connections of tlsorigin. The two packages do not know each other, so their agreement is
// checked here: renaming a method of Conn that pgwire needs breaks the build.
var _ pgwire.Upstream = (*tlsorigin.Conn)(nil)

// asUpstream makes a pgwire.Upstream of what a dial returned. A nil *Conn must not become an Upstream that is
// not nil.
func asUpstream(conn *tlsorigin.Conn, err error) (pgwire.Upstream, error) {
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// dial implements pgwire.Server.Dial.
func (o *origin) dial(ctx context.Context, target net.Addr) (pgwire.Upstream, error) {
	return asUpstream(o.dialer.Dial(ctx, target))
}

// dialSession implements pgwire.Server.DialSession.
func (o *origin) dialSession(ctx context.Context) (pgwire.Upstream, *pgwire.Spare, error) {
	conn, spare, err := o.spares.Dial(ctx)
	if err != nil || spare == nil {
		upstream, err := asUpstream(conn, err)
		return upstream, nil, err
	}
	return conn, &pgwire.Spare{
		Replace:  func(ctx context.Context) (pgwire.Upstream, error) { return asUpstream(spare.Fresh(ctx)) },
		LoggedIn: spare.LoggedIn,
	}, nil
}
