package pgwire

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// farewellTimeout bounds the last words to a peer: an ErrorResponse and an
// orderly close to the client, close_notify to the upstream.
const farewellTimeout = time.Second

// session is one client connection and its upstream connection, from accept to
// the last close. Its goroutine owns both legs and alone closes them; a second
// one copies from client to upstream.
type session struct {
	server *Server
	ctx    context.Context
	end    context.CancelCauseFunc // interrupts both legs; the first cause is the session's error
	timer  *time.Timer             // LoginTimeout, stopped at ReadyForQuery

	client   *leg
	upstream *leg // nil until dialled

	info     SessionInfo
	phase    atomic.Int32 // a Phase; others read it too
	admitted bool         // counts against MaxSessions

	toUpstream, toClient atomic.Int64
	lingering            atomic.Bool // one direction ended: the other must make progress

	mu    sync.Mutex
	first *ending // how the relay began to end

	clientTail tail        // what the client was sent last
	terminated atomic.Bool // what the client sent last is a Terminate message

	auth authFilter
	key  string // process ID and secret, as registered for cancels
}

// serve runs the session and reports its end.
func (s *session) serve() {
	trace := s.server.Trace
	trace.accepted(s.info)
	s.timer = time.AfterFunc(s.server.loginTimeout(), s.loginExpired)
	err := s.run()
	s.timer.Stop()
	s.leave(err)
	trace.ended(s.info, s.result(err))
	s.server.forget(s)
}

// run is a session in the order in which it happens. The error, if any, is one
// that the client can be told.
func (s *session) run() error {
	packet, refused, err := negotiate(s.client)
	s.info.RefusedEncryption = refused
	if err != nil {
		return s.causeOf(err)
	}
	if packet.code == codeCancelRequest {
		return s.forwardCancel(packet)
	}
	s.info.describe(packet)
	s.server.Trace.started(s.info)
	if err := s.server.admit(s); err != nil {
		return err
	}
	if err := s.dial(); err != nil {
		return err
	}
	// The upstream has proved who it is; only now does anything go there.
	s.phase.Store(int32(PhaseAuth))
	sent, sendErr := s.upstream.Write(packet.raw)
	s.toUpstream.Add(int64(sent))

	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		s.relayToUpstream()
	}()
	err = s.authenticate(sendErr)
	if err == nil {
		s.relayToClient()
	} else {
		s.end(err)
	}
	<-relayed
	if err != nil {
		return s.causeOf(err)
	}
	return s.verdict()
}

// dial opens the upstream leg.
func (s *session) dial() error {
	s.phase.Store(int32(PhaseDial))
	start := time.Now()
	conn, err := s.server.Dial(s.ctx, nil)
	if err != nil {
		return s.causeOf(dialError(err))
	}
	s.upstream = newLeg(s.ctx, conn)
	s.server.Trace.upstreamReady(s.info, conn, time.Since(start))
	return nil
}

// authenticate passes backend messages to the client until ReadyForQuery.
// sendErr is what became of the startup packet: an upstream that closed
// without reading it has often said why.
func (s *session) authenticate(sendErr error) error {
	buf := getBuffer()
	defer putBuffer(buf)
	var out []byte
	for !s.auth.ready {
		n, err := s.upstream.Read(*buf)
		var rest []byte
		var broken error
		out, rest, broken = s.auth.feed(out[:0], (*buf)[:n])
		out = append(out, rest...)
		s.noteCancelKey() // before the client can know it
		if s.auth.ready {
			s.timer.Stop()
			s.phase.Store(int32(PhaseRelay))
		}
		if len(out) > 0 {
			if err := s.writeToClient(out); err != nil {
				return err
			}
		}
		if broken != nil {
			return broken
		}
		if err != nil && !s.auth.ready {
			return s.loginEnded(errors.Join(sendErr, err))
		}
	}
	s.server.Trace.authenticated(s.info)
	return nil
}

// noteCancelKey makes the session's key, once it is known, lead to its upstream.
func (s *session) noteCancelKey() {
	if key := s.auth.cancelKey; key != "" && s.key == "" {
		s.key = key
		s.server.keys.add(key, s)
	}
}

// loginEnded describes an upstream that ended the connection before ReadyForQuery.
func (s *session) loginEnded(err error) error {
	s.mu.Lock()
	first := s.first
	s.mu.Unlock()
	switch {
	case s.auth.rejected:
		text := "the upstream rejected the login"
		if s.auth.sqlState != "" {
			text += " with SQLSTATE " + s.auth.sqlState
		}
		return &Error{Kind: ReasonAuthRejected, Text: text, Err: err}
	case first != nil && first.side == downstream:
		return clientGone(first.err)
	default:
		return upstreamLost(PhaseAuth, err)
	}
}

// loginExpired ends a session whose login took too long.
func (s *session) loginExpired() {
	limit := s.server.loginTimeout()
	if Phase(s.phase.Load()) == PhaseStartup {
		s.end(&Error{Kind: ReasonClientTimeout, Text: fmt.Sprintf("the client sent no startup packet within %v", limit)})
		return
	}
	s.end(&Error{Kind: ReasonLoginTimeout, State: stateQueryCanceled, Text: fmt.Sprintf("the login took longer than %v", limit)})
}

// shutDown ends the session because the server stops.
func (s *session) shutDown() {
	switch Phase(s.phase.Load()) {
	case PhaseStartup: // it asked for nothing yet
		s.end(&Error{Kind: ReasonDraining, Text: "shut down before the client sent a startup packet"})
	case PhaseDial, PhaseAuth:
		s.end(&Error{Kind: ReasonDraining, State: stateCannotConnectNow, Text: "shutting down, the login was not finished"})
	case PhaseRelay:
		s.end(&Error{Kind: ReasonDraining, State: stateAdminShutdown, Text: "terminating the session because pgorigin shuts down"})
	}
}

// causeOf prefers the reason for which the session was interrupted to the
// errors that the interrupt produced.
func (s *session) causeOf(err error) error {
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	return err
}

// leave tells the client why, as far as it may be told, and closes both legs.
func (s *session) leave(err error) {
	s.client.farewell(farewellTimeout)
	if s.upstream != nil {
		s.upstream.farewell(farewellTimeout)
		s.upstream.close()
	}
	if err != nil {
		s.tellClient(err)
		s.client.dismiss()
	}
	s.end(nil)
	s.client.close()
}

// tellClient writes err as an ErrorResponse, where the protocol has a place for one.
func (s *session) tellClient(err error) {
	d, ok := asDescribed(err)
	if !ok || d.SQLState() == "" || s.info.Cancel || s.auth.rejected || !s.atBoundary() {
		return
	}
	message := pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: d.SQLState(),
		Message: "pgorigin: " + d.Error(),
		Detail:  fmt.Sprintf("This is pgorigin session %d, as in its log.", s.info.ID),
	}
	if s.server.Hint != nil {
		message.Hint = s.server.Hint(err)
	}
	if encoded, err := message.Encode(nil); err == nil {
		_, _ = s.client.Write(encoded)
	}
}

// atBoundary reports whether the client expects a new message. In the relay,
// which parses nothing, only a ReadyForQuery at the very end is taken as proof.
func (s *session) atBoundary() bool {
	switch Phase(s.phase.Load()) {
	case PhaseStartup, PhaseDial:
		return true
	case PhaseAuth:
		return s.auth.atBoundary()
	case PhaseRelay:
		return s.clientTail.isReadyForQuery()
	}
	return false
}

// result describes the ended session.
func (s *session) result(err error) SessionResult {
	r := SessionResult{
		Phase: Phase(s.phase.Load()), Reason: ReasonOK, Duration: time.Since(s.info.Accepted),
		ToUpstream: s.toUpstream.Load(), ToClient: s.toClient.Load(), Err: err, SQLState: s.auth.sqlState,
	}
	if d, ok := asDescribed(err); ok {
		r.Reason = Reason(d.Reason())
		if state := d.SQLState(); state != "" {
			r.SQLState = state
		}
	}
	return r
}
