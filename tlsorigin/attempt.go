package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// sslRequest is the message SSLRequest: its length and the code 80877103.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// attempt is one try of one address.
type attempt struct {
	route  route
	state  *tlsState
	auth   clientAuth
	budget time.Duration
	report Attempt

	turns   turns    // nil: computing is not bounded
	waiters *waiters // nil: waiting is not bounded
	// turn is held while the handshake computes. Explaining a verify.Refusal gives it back first.
	turn   *turn
	waiter *waiter
	// lost is packetsLost, nil where nobody can tell.
	lost func(net.Conn) bool
	// choose picks the ClientHello for a resolved address. Nil: the one of the configuration, whatever is remembered.
	choose func(net.Addr) choice
	choice choice

	resume bool    // a session, if there is one
	ticket *ticket // nil: neither takes nor leaves one

	verification *verification // of its peer

	observe func(*tls.Config) // sees the configuration of the handshake; nil means nobody does

	began    bool          // a ClientHello has been sent, or was about to be
	patience time.Duration // how long its first answer was waited for; zero: as long as the budget lasts
	vanished PathCause     // set if it was not answered with a single byte, in a way that may be due to its size

	details *certificateDetails // set when the upstream's certificate is refused
}

// certificateDetails is what an Error says about a certificate besides its text.
type certificateDetails struct {
	name     string
	also     []Reason
	peer     *PeerCertificate
	anchored bool
}

func newAttempt(r route, t *tlsState, budget time.Duration) *attempt {
	return &attempt{
		route:  r,
		state:  t,
		auth:   clientAuth{configured: t.client},
		budget: budget,
		report: Attempt{Addr: r.host},

		verification: &verification{policy: t.policy, name: r.name},
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
	if a.choose != nil {
		a.choice = a.choose(a.report.Resolved)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	if a.waiters != nil {
		a.waiter = a.waiters.join(a.report.Resolved.String(), end)
		defer a.waiter.leave()
	}
	expire := expiry(ctx, raw)
	expire(deadline)
	stop := context.AfterFunc(ctx, func() { expire(deadline) })
	conn, failure := a.originate(ctx, raw, deadline, expire)
	interrupted := !stop()
	if failure != nil || interrupted {
		_ = raw.Close() // never tls.Conn.Close: there is nobody to say goodbye to
		return nil, a.outwaited(ctx, failure)
	}
	_ = raw.SetDeadline(time.Time{})
	a.report.State = conn.ConnectionState()
	return conn, nil
}

// outwaited words the end of an attempt that had to make room for others, and leaves every other failure as
// it is.
func (a *attempt) outwaited(ctx context.Context, failure *Error) *Error {
	if !errors.Is(context.Cause(ctx), errOutwaited) {
		return failure
	}
	kind := ReasonTLSTimeout
	if !a.began {
		kind = ReasonUpstreamTimeout
	}
	text := fmt.Sprintf("sent nothing for %v while more than %d connections waited for its address", silentGrace, maxSilent)
	return a.failure(&problem{kind, text}, errOutwaited)
}

// expiry returns a function that sets the deadline of raw. Once ctx has ended every deadline is one in the past: ctx is
// looked at afterwards, so that whoever sets a later one at the same moment does not undo the interruption.
func expiry(ctx context.Context, raw net.Conn) func(time.Time) {
	return func(t time.Time) {
		// A connection that cannot take a deadline any more is closed, and the next operation says so.
		_ = raw.SetDeadline(t)
		if ctx.Err() != nil {
			_ = raw.SetDeadline(time.Unix(1, 0))
		}
	}
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
func (a *attempt) originate(ctx context.Context, raw net.Conn, deadline time.Time, expire func(time.Time)) (*Conn, *Error) {
	if !a.route.direct {
		if failure := a.requestTLS(raw); failure != nil {
			return nil, failure
		}
	}
	defer stopwatch(&a.report.TLS)()
	// Whoever can write into the path may send bytes behind 'S' that are not TLS and hope that they are taken for
	// something that was received inside (CVE-2021-23222). Those that are here already are called by their name;
	// those that come later break the handshake, for nothing between here and TLS has a buffer.
	if !a.route.direct && pendingInput(raw) {
		return nil, a.failure(&problem{ReasonTLSInjection, "sent bytes behind its answer to SSLRequest; someone in the path may be tampering"}, nil)
	}
	if !a.waiter.hello(ctx, deadline) {
		text := fmt.Sprintf("got no ClientHello in time: %d other TLS handshakes waited for its answer", maxHellos)
		return nil, a.failure(&problem{ReasonTLSTimeout, text}, nil)
	}
	a.turn = newTurn(ctx, a.turns, deadline)
	defer a.turn.giveBack()
	w := &wire{Conn: raw, turn: a.turn, waiter: a.waiter}
	a.limitPatience(w, deadline, expire)
	config := a.state.config(a.verification, &a.auth)
	if a.choice.groups != nil {
		config.CurvePreferences = a.choice.groups
	}
	if a.resume && a.state.sessions != nil {
		a.ticket = a.state.sessions.ticket(a.report.Resolved, a.route.name)
		config.ClientSessionCache = a.ticket
	}
	if a.observe != nil {
		a.observe(config)
	}
	client := tls.Client(w, config)
	a.began = true
	//nolint:noctx // ctx interrupts by run's deadline: HandshakeContext would close the connection, and with it what it knows
	err := client.Handshake()
	a.turn.giveBack() // before a verify.Refusal is explained
	if err != nil {
		if w.received.Load() == 0 {
			a.vanished = a.vanishing(raw, err)
		}
		return nil, a.failure(a.handshakeFailure(err, w.received.Load()), err)
	}
	state := client.ConnectionState()
	if found := a.protocolProblem(state.NegotiatedProtocol); found != nil {
		return nil, a.failure(found, nil)
	}
	if a.verification.chains == nil { // crypto/tls has not called verify
		return nil, a.failure(&problem{ReasonCertInvalid, "its certificate was not verified"}, nil)
	}
	a.ticket.verified(&state)
	w.turn, w.waiter = nil, nil
	return &Conn{
		chains: a.verification.chains,
		tls:    client,
		wire:   w,
		auth:   &a.auth,
		ticket: a.ticket,
		remote: &Addr{TCP: raw.RemoteAddr(), Host: a.route.host},
	}, nil
}

// limitPatience gives the first byte of an answer to a hello that may vanish less time than there is, so that something
// is left for another. Once a byte has come, falling back is out of the question and the handshake has all the time.
func (a *attempt) limitPatience(w *wire, deadline time.Time, expire func(time.Time)) {
	if !a.choice.fallible {
		return
	}
	a.patience = min(maxPatience, time.Until(deadline)/2)
	expire(time.Now().Add(a.patience))
	w.first = func() { expire(deadline) }
}

// protocolProblem judges what ALPN came to; nil means that all is well. A server that does not know
// ALPN is none in direct TLS, whose only proof that it is Postgres that is spoken is ALPN.
func (a *attempt) protocolProblem(negotiated string) *problem {
	if a.route.direct && negotiated != protocolName {
		return &problem{ReasonTLSALPN, "completed TLS but did not agree to the protocol " + protocolName + " (ALPN), which direct TLS demands"}
	}
	return nil
}

// requestTLS sends SSLRequest and reads its answer, exactly one byte: what follows belongs to TLS.
func (a *attempt) requestTLS(raw net.Conn) *Error {
	defer stopwatch(&a.report.SSLRequest)()
	if _, err := io.WriteString(raw, sslRequest); err != nil {
		return a.failure(lostFailure(err, "while SSLRequest was sent", a.budget), err)
	}
	var answer [1]byte
	a.waiter.startWait()
	_, err := io.ReadFull(raw, answer[:])
	a.waiter.stopWait()
	if err != nil {
		return a.failure(lostFailure(err, "without an answer to SSLRequest", a.budget), err)
	}
	if found := answerProblem(answer[0]); found != nil {
		return a.failure(found, nil)
	}
	return nil
}

// waited is how long the handshake had, of which received bytes came.
func (a *attempt) waited(received int64) time.Duration {
	if a.patience > 0 && received == 0 {
		return a.patience
	}
	return a.budget
}

func (a *attempt) failure(f *problem, cause error) *Error {
	e := &Error{Kind: f.reason, Addr: a.route.host, Text: safetext.Clip(f.text, safetext.MaxLength), Err: cause}
	if d := a.details; d != nil {
		e.Also, e.Peer, e.ExpectedName, e.Anchored = d.also, d.peer, d.name, d.anchored
	}
	return e
}

// stopwatch returns a function that stores in took how long ago stopwatch was called.
func stopwatch(took *time.Duration) func() {
	began := time.Now()
	return func() { *took = time.Since(began) }
}
