package diagnose

import (
	"context"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Try makes one try of an address within timeout, with what offer leaves of the ClientHello. If offer is nil,
// the try is that of a connection. A nil failure means that it made a verified connection, and that the
// upstream accepts the client certificate. If tried is false, there was no time to find out.
func Try(
	ctx context.Context, d *tlsorigin.Dialer, addr *tlsorigin.Addr, timeout time.Duration, offer *tlsorigin.Offer,
) (failure *tlsorigin.Error, tried bool) {
	began := time.Now()
	found, err := d.Observe(ctx, addr, timeout, offer)
	if found.Conn == nil {
		return found.Err, err == nil && found.Err != nil
	}
	defer func() { _ = found.Conn.Close() }()
	return found.Conn.Rejection(rejectionGrace + time.Since(began)), true
}
