package tlsorigin

import (
	"context"
	"errors"
	"io"
	"time"
)

// probeFarewell bounds how long a probe waits for the upstream to close its side.
const probeFarewell = time.Second

// Probe finds out whether Dial would succeed, by the same code: it makes a verified connection and ends it before a byte
// of Postgres is sent, so that the upstream sees a client that has thought better of it. Its attempts are reported as
// probes. The error is that of Dial, or an *Error of ReasonClientCertRejected, which TLS 1.3 brings only after the handshake.
func (d *Dialer) Probe(ctx context.Context) error {
	conn, err := d.dial(ctx, nil, options{probe: true})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// close_notify first, and then as long as it takes until the other side has closed, too: a connection that is dropped
	// with something unread becomes a reset, which servers complain about in their logs.
	_ = conn.SetDeadline(time.Now().Add(probeFarewell))
	_ = conn.CloseWrite()
	_, err = io.Copy(io.Discard, conn)
	var rejected *Error
	if errors.As(err, &rejected) && rejected.Kind == ReasonClientCertRejected {
		return rejected
	}
	return nil
}
