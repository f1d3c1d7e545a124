package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/outage"
)

// pgwire relays to connections of tlsorigin. The two packages do not know each other, so their agreement is
// checked here: renaming a method of Conn that pgwire needs breaks the build.
var _ pgwire.Upstream = (*tlsorigin.Conn)(nil)

// dial implements pgwire.Server.Dial.
func (o *origin) dial(ctx context.Context, target net.Addr) (pgwire.Upstream, error) {
	conn, err := o.dialer.Dial(ctx, target)
	if err != nil {
		return nil, err // a nil *Conn must not become an Upstream that is not nil
	}
	return conn, nil
}

// dialSession implements pgwire.Server.DialSession. A session that gets a spare needs no place in the line,
// unless the spare is dead.
func (o *origin) dialSession(ctx context.Context, aside func(wait func())) (pgwire.Opened, error) {
	spare := o.spares.Take()
	if spare == nil {
		return o.dialInLine(ctx, aside)
	}
	return pgwire.Opened{
		Upstream: spare.Conn,
		Replace: func(ctx context.Context, _ error) (pgwire.Opened, error) {
			spare.Dead(ctx)
			return o.dialInLine(ctx, aside)
		},
		LoggedIn: spare.LoggedIn,
	}, nil
}

// dialInLine dials, and waits while the upstream is away.
func (o *origin) dialInLine(ctx context.Context, aside func(wait func())) (pgwire.Opened, error) {
	conn, place, err := o.line.Dial(ctx, aside)
	return o.opened(conn, place, err)
}

// opened makes a pgwire.Opened of what the line returned. A nil place means that clients do not wait.
func (o *origin) opened(conn *tlsorigin.Conn, place *outage.Place, err error) (pgwire.Opened, error) {
	var failure *tlsorigin.Error
	switch {
	case errors.As(err, &failure):
		o.spares.Failed(failure)
		return pgwire.Opened{}, err
	case err != nil:
		return pgwire.Opened{}, waitedInVain(err)
	case place == nil:
		return pgwire.Opened{Upstream: conn}, nil
	}
	return pgwire.Opened{
		Upstream: conn,
		Replace: func(ctx context.Context, why error) (pgwire.Opened, error) {
			conn, err := another(ctx, place, why)
			return o.opened(conn, place, err)
		},
		Answered: place.Answered, LoggedIn: place.LoggedIn,
	}, nil
}

// another returns another connection in the place of one that cannot be used, or why itself.
func another(ctx context.Context, place *outage.Place, why error) (*tlsorigin.Conn, error) {
	var failure *pgwire.Error
	if !errors.As(why, &failure) || failure.Server == nil {
		return place.Ended(ctx, why)
	}
	// A pooler may repeat what one of its servers says. Its other databases may have other servers.
	passes := failure.Kind == pgwire.ReasonServerStarting || failure.Kind == pgwire.ReasonUpstreamShutdown
	if passes && !failure.Server.Forwarded {
		return place.Refused(ctx, why)
	}
	place.Answered() // it is there, and full, for example
	return nil, why
}

// waitedInVain makes a pgwire.Failure of the refusal that another client got while this one waited.
func waitedInVain(err error) error {
	var waited *outage.WaitedError
	var refusal *pgwire.Error
	if !errors.As(err, &waited) || !errors.As(waited.Err, &refusal) || refusal.Server == nil {
		return err
	}
	told := *refusal
	told.State, told.Err = refusal.Server.SQLState, waited
	told.Text = fmt.Sprintf("%s; waited %v for it", refusal.Text, waited.Waited.Round(100*time.Millisecond))
	return &told
}
