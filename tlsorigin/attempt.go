package tlsorigin

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

// sslRequest is the message SSLRequest: its length and the code 80877103.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// attempt is one try of one address.
type attempt struct {
	route  route
	trust  *trust
	auth   clientAuth
	budget time.Duration
	report Attempt
}

func newAttempt(r route, t *trust, budget time.Duration) *attempt {
	return &attempt{
		route:  r,
		trust:  t,
		auth:   clientAuth{configured: t.client},
		budget: budget,
		report: Attempt{Addr: r.host},
	}
}

// run connects, asks for TLS and verifies, all before one deadline. The deadline stands on the connection; ctx only
// interrupts, by a deadline in the past. So there is one owner of the deadline, and the connection is still open (and
// could be asked about) when it has passed.
func (a *attempt) run(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error)) (*Conn, *Error) {
	deadline := time.Now().Add(a.budget)
	raw, failure := a.connect(ctx, deadline, dial)
	if failure != nil {
		return nil, failure
	}
	a.report.Resolved = raw.RemoteAddr()
	// A connection that cannot take a deadline any more is closed, and the next operation says so.
	_ = raw.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	conn, failure := a.originate(raw)
	interrupted := !stop()
	if failure != nil || interrupted {
		_ = raw.Close() // never tls.Conn.Close: there is nobody to say goodbye to
		return nil, failure
	}
	_ = raw.SetDeadline(time.Time{})
	a.report.State = conn.ConnectionState()
	return conn, nil
}

// connect resolves and opens TCP.
func (a *attempt) connect(ctx context.Context, deadline time.Time, dial func(context.Context, string, string) (net.Conn, error)) (net.Conn, *Error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	defer stopwatch(&a.report.Connect)()
	raw, err := dial(ctx, "tcp", a.route.dial)
	if err != nil {
		return nil, a.failure(connectFailure(err, a.budget), err)
	}
	return raw, nil
}

// originate turns a fresh TCP connection into a verified one.
func (a *attempt) originate(raw net.Conn) (*Conn, *Error) {
	if failure := a.requestTLS(raw); failure != nil {
		return nil, failure
	}
	defer stopwatch(&a.report.TLS)()
	// Whoever can write into the path may send bytes behind 'S' that are not TLS and hope that they are taken for
	// something that was received inside (CVE-2021-23222). Those that are here already are called by their name;
	// those that come later break the handshake, for nothing between here and TLS has a buffer.
	if pendingInput(raw) {
		return nil, a.failure(finding{ReasonTLSInjection, "sent bytes behind its answer to SSLRequest; someone in the path may be tampering"}, nil)
	}
	w := &wire{Conn: raw}
	client := tls.Client(w, a.trust.config(a.route.name, &a.auth))
	//nolint:noctx // ctx interrupts by run's deadline: HandshakeContext would close the connection, and with it what it knows
	if err := client.Handshake(); err != nil {
		return nil, a.failure(a.handshakeFailure(err, w.received.Load()), err)
	}
	return &Conn{
		tls:    client,
		wire:   w,
		auth:   &a.auth,
		remote: &Addr{TCP: raw.RemoteAddr(), Host: a.route.host},
	}, nil
}

// requestTLS sends SSLRequest and reads its answer, exactly one byte: what follows belongs to TLS.
func (a *attempt) requestTLS(raw net.Conn) *Error {
	defer stopwatch(&a.report.SSLRequest)()
	if _, err := io.WriteString(raw, sslRequest); err != nil {
		return a.failure(lostFailure(err, "while SSLRequest was sent", a.budget), err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(raw, answer[:]); err != nil {
		return a.failure(lostFailure(err, "without an answer to SSLRequest", a.budget), err)
	}
	if found := answerProblem(answer[0]); found.text != "" {
		return a.failure(found, nil)
	}
	return nil
}

func (a *attempt) failure(f finding, cause error) *Error {
	return &Error{Kind: f.kind, Addr: a.route.host, Text: f.text, Err: cause}
}

// stopwatch returns a function that stores in took how long ago stopwatch was called.
func stopwatch(took *time.Duration) func() {
	began := time.Now()
	return func() { *took = time.Since(began) }
}
