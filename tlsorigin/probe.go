package tlsorigin

import (
	"context"
	"errors"
	"io"
	"time"
)

// probeCloseTimeout is how long a probe waits for the upstream to close its side.
const probeCloseTimeout = time.Second

// Probe finds out whether Dial would succeed, by the same code. It makes a verified connection and ends it
// before a byte of Postgres is sent. Its attempts are reported as probes. The error is that of Dial, or an
// *Error about the client certificate, which TLS 1.3 brings only after the handshake.
//
// If ask is not nil, it may use the connection before that end, for as long as the timeout of a dial. Its
// error is an error of Probe, too.
func (d *Dialer) Probe(ctx context.Context, ask func(*Conn) error) error {
	conn, err := d.dial(ctx, nil, options{probe: true})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(d.timeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if ask != nil {
		if err := ask(conn); err != nil {
			return err
		}
	}
	// Send close_notify, then wait until the upstream has closed, too. A connection that is closed with
	// something unread becomes a reset, and servers log that.
	_ = conn.SetDeadline(time.Now().Add(probeCloseTimeout))
	_ = conn.CloseWrite()
	_, err = io.Copy(io.Discard, conn)
	var rejected *Error
	if errors.As(err, &rejected) && rejected.Kind.Layer() == LayerCertificate {
		return rejected
	}
	return nil
}
