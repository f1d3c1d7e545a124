package tlsorigin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// This file has every step from an address to a verified connection: Dial, open, try, and the steps of one
// attempt: connect, requestTLS, handshake, verify. An optional step is one call here. Its code is elsewhere:
//
//	lookups.go     names
//	race.go        several addresses
//	memory.go      which addresses go last
//	reload.go      files that were replaced: try again under the new ones
//	retry.go       a hello that got no answer, a session that the upstream cannot resume: try another hello
//	hosts.go       what an address has shown before chooses the hello
//	admission.go   how many handshakes compute, and how many attempts wait for one address
//	resumption.go  sessions
//	liveness.go    a peer that vanishes later

// sslRequest is the message SSLRequest: its length and the code 80877103.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// options say for whom a dial is. The zero value is a dial for a client.
type options struct {
	probe    bool      // for no client; it resumes nothing, so that it sees everything
	recorder *recorder // nil: attempts are not recorded
	progress *progress // nil: nobody asks
}

// Dial returns a *Conn whose peer has proved its name, ready for a startup packet; the caller closes it.
//
// A nil target means the configured addresses and all addresses of their names. They are tried in order, the
// next one when one has failed or has been silent for long: a quarter of a second among the addresses of a
// name, and 1.5 s from one configured address to the next. The first verified connection wins. The others are
// closed. Addresses that failed lately are tried last.
//
// Otherwise target is the *Addr of an earlier connection of this Dialer, or one of Targets: the new connection
// goes to that very address, whatever is remembered about it, and proves the same name. A cancel request needs
// that.
//
// If replaced files could explain a failure, Dial reads them and tries once more when they are new: a
// rotation costs no connection, however long the interval of Watch.
//
// On failure the error is an *Error, with one exception: the end of ctx is reported as context.Cause(ctx),
// wrapped, because it says nothing about the upstream. The connection does not depend on ctx afterwards.
func (d *Dialer) Dial(ctx context.Context, target net.Addr) (*Conn, error) {
	return d.dial(ctx, target, options{})
}

func (d *Dialer) dial(ctx context.Context, target net.Addr, o options) (*Conn, error) {
	dial := d.dialAny
	if target != nil {
		r, err := d.routeTo(target)
		if err != nil {
			return nil, err
		}
		dial = func(ctx context.Context, state *tlsState, end time.Time, o options) (*Conn, error) {
			return d.dialOne(ctx, r, state, end, o)
		}
	}
	end := time.Now().Add(d.timeout)
	state := d.state.Load()
	conn, err := dial(ctx, state, end, o)
	if err != nil {
		if next := d.newerState(ctx, err, state, end); next != nil {
			state = next
			conn, err = dial(ctx, state, end, o)
		}
	}
	if err != nil {
		return nil, err
	}
	conn.generation, conn.rejected = state.generation, d.reloadBriefly
	conn.wire.liveness = d.liveness
	conn.wire.announce() // the last flight of the handshake
	return conn, nil
}

// routeTo returns the route to target.
func (d *Dialer) routeTo(target net.Addr) (route, error) {
	addr, ok := target.(*Addr)
	if !ok {
		return route{}, fmt.Errorf("dial upstream: target is a %T, want an *Addr of an earlier connection",
			target)
	}
	for _, r := range d.upstream {
		if r.host == addr.Host {
			r.dial = addr.TCP.String()
			return r, nil
		}
	}
	return route{}, fmt.Errorf("dial upstream: %s is not a configured address", safetext.Quote(addr.Host))
}

// dialAny dials the configured addresses until end. A single address needs no race.
func (d *Dialer) dialAny(ctx context.Context, state *tlsState, end time.Time, o options) (*Conn, error) {
	if len(d.upstream) > 1 {
		return d.race(ctx, nil, state, end, o)
	}
	only := d.upstream[0]
	if only.dns == "" {
		return d.dialOne(ctx, only, state, end, o)
	}
	began := time.Now()
	found := d.find(ctx, only, end)
	switch {
	case found.failure != nil:
		d.lookupFailed(found.failure, time.Since(began), o)
		return nil, found.failure
	case found.routes == nil:
		return nil, interrupted(ctx, only)
	case len(found.routes) == 1:
		return d.dialOne(ctx, found.routes[0], state, end, o)
	}
	return d.race(ctx, found.routes, state, end, o)
}

// dialOne dials one address until end.
func (d *Dialer) dialOne(ctx context.Context, r route, state *tlsState, end time.Time, o options) (*Conn,
	error,
) {
	result := d.open(ctx, r, state, time.Until(end), o)
	switch {
	case result.interrupted:
		return nil, interrupted(ctx, r)
	case result.failure != nil:
		return nil, result.failure
	}
	return result.conn, nil
}

// interrupted says that the caller's context has ended.
func interrupted(ctx context.Context, r route) error {
	return fmt.Errorf("dial upstream %s: %w", r.host, context.Cause(ctx))
}

// lookupFailed reports an attempt that took that long and ended with the lookup of its name.
func (d *Dialer) lookupFailed(failure *Error, took time.Duration, o options) {
	d.attempt(Attempt{Addr: failure.Addr, Connect: took, Err: failure, Probe: o.probe})
}

// outcome is what came of an attempt: exactly one of its first three fields is set.
type outcome struct {
	conn        *Conn
	failure     *Error
	interrupted bool // the caller's context has ended, which says nothing about the upstream

	connect time.Duration // that TCP took, beside conn
}

// open tries one address within budget. It usually tries once. It tries again if another hello may pass.
func (d *Dialer) open(ctx context.Context, r route, state *tlsState, budget time.Duration,
	o options,
) outcome {
	began := time.Now()
	a := d.newAttempt(r, state, budget, o)
	a.variantFor = func(addr net.Addr) helloVariant { return d.hosts.variant(d.startProbe, r, addr) }
	a.resume = !o.probe
	result := d.try(ctx, a)
	if result.failure != nil {
		result = d.retry(ctx, a, result, began.Add(budget))
	}
	d.learn(r, began, budget, result)
	return result
}

// try makes one attempt, reports it and learns from it.
func (d *Dialer) try(ctx context.Context, a *attempt) outcome {
	a.options.recorder.begin(a)
	conn, failure := a.run(ctx, d.netDial)
	if conn == nil && ctx.Err() != nil {
		return outcome{interrupted: true}
	}
	a.report.Err = failure
	d.attempt(a.report)
	if conn != nil {
		d.hosts.verified(a)
	}
	return outcome{conn: conn, failure: failure, connect: a.report.Connect - a.route.lookup}
}

// attempt is one try of one address.
type attempt struct {
	route   route
	state   *tlsState
	budget  time.Duration
	options options
	report  Attempt
	known   *addresses                            // tell where a peer was verified before; nil means nowhere
	loop    func(context.Context, route) *problem // Dialer.loopOf; nil means that there can be no loop
	place   place

	exchange   *keyExchange
	variant    helloVariant
	variantFor func(net.Addr) helloVariant // chooses variant for a resolved address; nil means the zero value

	// tls.Conn keeps these two. They are allocated by themselves, so that it does not keep the attempt.
	auth   *clientAuth
	verify *verification

	semaphore semaphore // nil means that computing is not bounded
	waiters   *waiters  // nil means that waiting is not bounded
	permit    *permit   // held while the handshake computes
	waiter    *waiter

	deadline time.Time       // of the whole attempt
	expire   func(time.Time) // sets the deadline of the connection; see expiry

	resume bool    // a session, if there is one
	ticket *ticket // nil means that the handshake neither takes nor leaves a session

	lost     func(net.Conn) bool // packetsLost; nil where the system does not tell
	began    bool                // a ClientHello has been sent, or was about to be
	patience time.Duration       // how long its first answer was waited for; zero means as long as the budget
	vanished VanishCause         // set if not one byte answered it, in a way that may be due to its size

	observe func(*tls.Config)   // gets the configuration of the handshake; may be nil
	details *certificateDetails // set when the upstream's certificate is refused
}

func (d *Dialer) newAttempt(r route, state *tlsState, budget time.Duration, o options) *attempt {
	v := &verification{policy: state.policy, name: r.name}
	a := &attempt{
		route: r, state: state, budget: budget, options: o,
		report:    Attempt{Addr: r.host, Connect: r.lookup, Probe: o.probe},
		known:     &d.addresses,
		place:     d.place(r),
		auth:      &clientAuth{configured: state.client, upstream: v},
		verify:    v,
		exchange:  &d.exchange,
		semaphore: d.semaphore, waiters: &d.waiters, lost: d.lost,
	}
	if d.isOwn != nil {
		a.loop = d.loopOf
	}
	return a
}

// run connects, asks for TLS and verifies, all before one deadline. The deadline is set on the connection.
// The end of ctx interrupts by a deadline in the past. So the deadline has one owner, and the connection is
// still open, and can be asked about, when it has passed.
func (a *attempt) run(ctx context.Context, dial dialFunc) (*Conn, *Error) {
	a.deadline = time.Now().Add(a.budget)
	raw, failure := a.connect(ctx, dial)
	if failure != nil {
		return nil, failure
	}
	tellConnected(ctx)
	a.report.Resolved = raw.RemoteAddr()
	if a.variantFor != nil {
		a.variant = a.variantFor(a.report.Resolved)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	a.waiter = a.waiters.join(a.report.Resolved.String(), end)
	a.options.progress.connected(a.waiter)
	defer a.waiter.leave()
	a.expire = expiry(ctx, raw)
	a.expire(a.deadline)
	stop := context.AfterFunc(ctx, func() { a.expire(a.deadline) })
	conn, failure := a.secure(ctx, raw)
	interrupted := !stop()
	if failure != nil || interrupted {
		_ = raw.Close() // never tls.Conn.Close: no verified peer needs a close_notify
		return nil, a.outwaited(ctx, failure)
	}
	_ = raw.SetDeadline(time.Time{})
	a.report.State = conn.ConnectionState()
	return conn, nil
}

// dialFunc opens a TCP connection, as Config.NetDial does.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// connect opens TCP.
func (a *attempt) connect(ctx context.Context, dial dialFunc) (net.Conn, *Error) {
	ctx, cancel := context.WithDeadline(ctx, a.deadline)
	defer cancel()
	defer stopwatch(&a.report.Connect)()
	if a.loop != nil {
		if found := a.loop(ctx, a.route); found != nil {
			return nil, a.failure(found, errOwnAddress)
		}
	}
	a.options.progress.start(a.route.dial)
	raw, err := dial(ctx, "tcp", a.route.dial)
	if err != nil {
		return nil, a.failure(connectFailure(err, a.budget), err)
	}
	return raw, nil
}

// expiry returns a function that sets the deadline of raw. Once ctx has ended, every deadline is one in the
// past. The function asks ctx after it has set the deadline, so a later one set at the same moment does not
// undo the interruption.
func expiry(ctx context.Context, raw net.Conn) func(time.Time) {
	return func(t time.Time) {
		// A connection that cannot take a deadline any more is closed, and the next operation says so.
		_ = raw.SetDeadline(t)
		if ctx.Err() != nil {
			_ = raw.SetDeadline(time.Unix(1, 0))
		}
	}
}

// secure turns a fresh TCP connection into a verified one.
func (a *attempt) secure(ctx context.Context, raw net.Conn) (*Conn, *Error) {
	if !a.route.direct {
		if failure := a.requestTLS(raw); failure != nil {
			return nil, failure
		}
	}
	return a.handshake(ctx, raw)
}

// requestTLS sends SSLRequest and reads its answer, exactly one byte: what follows belongs to TLS.
func (a *attempt) requestTLS(raw net.Conn) *Error {
	defer stopwatch(&a.report.SSLRequest)()
	if _, err := io.WriteString(raw, sslRequest); err != nil {
		return a.failure(a.lostFailure(err, "while SSLRequest was sent"), err)
	}
	greeting := make([]byte, greetingSize)
	a.waiter.startWait()
	_, err := io.ReadFull(raw, greeting[:1])
	a.waiter.stopWait()
	if err != nil {
		return a.failure(a.lostFailure(err, "without an answer to SSLRequest"), err)
	}
	a.waiter.heard()
	if found := answerProblem(greeting[:1+peek(raw, greeting[1:])]); found != nil {
		return a.failure(found, nil)
	}
	return nil
}

// handshake performs the TLS handshake, in which crypto/tls calls verification.verify.
func (a *attempt) handshake(ctx context.Context, raw net.Conn) (*Conn, *Error) {
	defer stopwatch(&a.report.TLS)()
	if !a.waiter.mayGreet(ctx, a.deadline) {
		return nil, a.failure(because(ReasonTLSTimeout,
			"got no ClientHello in time: %d other TLS handshakes waited for its answer", maxHellos).as(CaseSlow),
			errOtherHellos)
	}
	a.permit = newPermit(ctx, a.semaphore, a.deadline)
	defer a.permit.release()
	w := &wire{Conn: raw, permit: a.permit, waiter: a.waiter}
	a.limitPatience(w)
	client := tls.Client(w, a.tlsConfig())
	a.began = true
	//nolint:noctx // ctx interrupts by run's deadline; HandshakeContext would close the connection
	err := client.Handshake()
	a.permit.release() // before a refusal is explained
	if err != nil {
		if w.received.Load() == 0 {
			a.vanished = a.vanishing(raw, err)
		}
		return nil, a.failure(a.handshakeFailure(err, w.received.Load()), err)
	}
	state := client.ConnectionState()
	switch {
	case a.route.direct && state.NegotiatedProtocol != protocolName:
		// Direct TLS has no other proof that the upstream speaks Postgres.
		return nil, a.failure(because(ReasonTLSALPN,
			"completed TLS but did not agree to the protocol %s (ALPN), which direct TLS demands", protocolName),
			nil)
	case a.verify.chains == nil: // crypto/tls has not called verify
		return nil, a.failure(because(ReasonCertInvalid, "its certificate was not verified"), nil)
	}
	a.ticket.verified(&state)
	w.permit, w.waiter = nil, nil
	return &Conn{
		chains: a.verify.chains,
		tls:    client,
		wire:   w,
		auth:   a.auth,
		ticket: a.ticket,
		remote: &Addr{TCP: raw.RemoteAddr(), Host: a.route.host},
	}, nil
}

// tlsConfig returns the TLS configuration of this attempt.
func (a *attempt) tlsConfig() *tls.Config {
	config := a.state.config(a.verify, a.auth)
	if a.variant.groups != nil {
		config.CurvePreferences = a.variant.groups
	}
	if a.resume && a.state.sessions != nil {
		a.ticket = a.state.sessions.ticket(a.report.Resolved, a.route.name)
		config.ClientSessionCache = a.ticket
	}
	if a.observe != nil {
		a.observe(config)
	}
	return config
}

// verification verifies the peer of one connection. crypto/tls calls verify in each handshake, resumed ones
// included. It does so before it sends the client certificate and before any data can pass.
type verification struct {
	policy *verify.Policy
	name   string                // what the certificate must carry, unless the policy ignores names
	chains [][]*x509.Certificate // leaf first; nil means that the connection must not be used
}

// verify is a tls.Config.VerifyConnection.
func (v *verification) verify(cs tls.ConnectionState) error {
	chains, err := v.policy.Verify(cs.PeerCertificates, v.name, time.Now())
	v.chains = chains
	return err
}

// outwaited words the end of an attempt that had to make room for others, and leaves every other failure as
// it is.
func (a *attempt) outwaited(ctx context.Context, failure *Error) *Error {
	if !errors.Is(context.Cause(ctx), errOutwaited) {
		return failure
	}
	reason := ReasonTLSTimeout
	if !a.began {
		reason = ReasonUpstreamSilent
	}
	return a.failure(because(reason,
		"sent nothing for %v while more than %d connections waited for its address", silentGrace, maxSilent),
		errOutwaited)
}

// failure makes the *Error of this attempt.
func (a *attempt) failure(p *problem, cause error) *Error {
	e := &Error{
		Kind: p.reason, Case: p.which, Value: p.value,
		Addr: a.route.host, Resolved: a.report.Resolved, Text: safetext.Clip(p.text, safetext.MaxLength), Err: cause,
		past: a.known.pastAt(a.place),
	}
	if d := a.details; d != nil {
		e.Also, e.Peer, e.ExpectedName, e.Anchored = d.also, d.peer, d.name, d.anchored
	}
	return e
}

// certificateDetails is what an Error says about a certificate besides its text.
type certificateDetails struct {
	name     string
	also     []Reason
	peer     *PeerCertificate
	anchored bool
}

// stopwatch returns a function that adds to took how long ago stopwatch was called.
func stopwatch(took *time.Duration) func() {
	began := time.Now()
	return func() { *took += time.Since(began) }
}
