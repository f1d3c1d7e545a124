package diagnose

import (
	"context"
	"errors"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Connection is what a client of a Dialer gets. Either Addr or Err is set. Neither is set if the context
// ended first.
type Connection struct {
	Addr *tlsorigin.Addr  // where the connection was made; a target for Dialer.Dial
	Err  *tlsorigin.Error // why there is no connection
}

// Connect makes a connection as Dial does for a client: the configured addresses in their order. It closes
// the connection when it knows whether the upstream accepts the client certificate. Run says more of each
// address, and Connect says which of them count.
func Connect(ctx context.Context, d *tlsorigin.Dialer) Connection {
	began := time.Now()
	conn, err := d.Dial(ctx, nil)
	var failure *tlsorigin.Error
	if err != nil {
		_ = errors.As(err, &failure) // any other error is the end of ctx
		return Connection{Err: failure}
	}
	defer func() { _ = conn.Close() }()
	if failure = conn.Rejection(rejectionGrace + time.Since(began)); failure != nil {
		return Connection{Err: failure}
	}
	addr, _ := conn.RemoteAddr().(*tlsorigin.Addr) // always one
	return Connection{Addr: addr}
}
