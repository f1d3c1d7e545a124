package pgwire

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// farewellTimeout bounds the last words to a peer: an ErrorResponse and an
// orderly close to the client, close_notify to the upstream.
const farewellTimeout = time.Second

// session is one client connection and its upstream connection, from accept to
// the last close. Its goroutine owns both legs and alone closes them, until an
// event loop takes over.
type session struct {
	server *Server
	ctx    context.Context
	end    context.CancelCauseFunc // interrupts both legs; the first cause is the session's error
	timer  *time.Timer             // LoginTimeout, stopped at ReadyForQuery

	client   *leg
	upstream *leg          // nil until dialled
	spare    *Spare        // nil if the upstream leg was dialled for this session, or is logged in
	place    *list.Element // in Server.pending, whose mutex guards it

	upstreamConn Upstream // of the upstream leg

	info     SessionInfo
	phase    atomic.Int32 // a Phase; others read it too
	admitted bool         // counts against MaxSessions
	told     string       // SQLSTATE of what the client was told at the end; "": nothing

	toUpstream, toClient atomic.Int64

	mu    sync.Mutex
	first *ending // how the relay began to end

	tracker txTracker

	login   *login // nil before the startup packet is sent and once the relay has begun
	watch   loginWatch
	user    string // as in the startup packet
	key     string // process ID and secret, as registered for cancels
	cancels *line  // of cancel requests for this session; guarded by Server.keys, nil before the first
}

// serve runs the session and reports its end.
func (s *session) serve() {
	trace := s.server.Trace
	trace.accepted(s.info)
	s.timer = time.AfterFunc(s.server.loginTimeout(), s.loginExpired)
	if err := s.run(); !errors.Is(err, errOnLoop) {
		s.finish(err)
	}
}

// finish is the last that happens in a session.
func (s *session) finish(err error) {
	s.timer.Stop()
	s.watch.stop()
	s.leave(err)
	s.server.Trace.ended(s.info, s.result(err))
	s.server.forget(s)
}

// run is a session in the order in which it happens. The error, if any, is one
// that the client can be told, or errOnLoop: an event loop goes on with it.
func (s *session) run() error {
	s.server.pending.add(s)
	packet, refused, err := negotiate(s.client)
	s.server.pending.remove(s)
	s.info.RefusedEncryption = refused
	if err != nil {
		return s.causeOf(err)
	}
	s.info.Cancel = packet.code == codeCancelRequest
	if err := s.server.allow(s.client.Conn); err != nil {
		return err
	}
	if s.info.Cancel {
		return s.forwardCancel(packet)
	}
	s.info.describe(packet)
	s.user = packet.parameter("user")
	s.server.Trace.started(s.info)
	s.watch.start(s.client.Conn, func() { s.end(clientGone(io.EOF)) }, s.client.stopReads)
	if err := s.server.admit(s); err != nil {
		return err
	}
	if err := s.open(packet.raw); err != nil {
		if err = s.causeOf(err); errors.Is(err, errTerminated) {
			err = nil
		}
		return err
	}
	if s.moveToLoop() {
		return errOnLoop
	}
	s.copyBothWays()
	return s.verdict()
}

// open takes the session from the startup packet to the first ReadyForQuery.
func (s *session) open(packet []byte) error {
	if err := s.awaitLogin(); err != nil {
		return err
	}
	defer s.leaveLogin()
	loops.logins.Add(1)
	defer loops.logins.Add(-1)
	if err := s.dial(); err != nil {
		return err
	}
	// The upstream has proved who it is; only now does anything go there.
	return s.logIn(packet)
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

// drain ends the session if it is idle outside a transaction, or has no upstream yet: then nothing is lost,
// and an upstream that hangs must not hold up the drain.
func (s *session) drain() {
	phase := Phase(s.phase.Load())
	if phase == PhaseRelay && s.tracker.retire() || phase == PhaseDial && !s.info.Cancel {
		s.shutDown()
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
		if s.result(err).Reason != ReasonClientTimeout { // a silent client's connection is wanted for another
			s.client.dismiss()
		}
	}
	s.end(nil)
	s.client.close()
}

// tellClient writes err as an ErrorResponse, where the protocol has a place for one.
func (s *session) tellClient(err error) {
	d, ok := asDescribed(err)
	if !ok || d.SQLState() == "" || s.info.Cancel || !s.atBoundary() {
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
		if _, err = s.client.Write(encoded); err == nil {
			s.told = d.SQLState()
		}
	}
}

// atBoundary reports whether the client expects a new message.
func (s *session) atBoundary() bool {
	switch Phase(s.phase.Load()) {
	case PhaseStartup, PhaseDial:
		return true
	case PhaseAuth: // a login shows whole messages only
		return !s.rejected()
	case PhaseRelay:
		if s.upstreamEnded() {
			return s.tracker.expectsMessage()
		}
		return s.tracker.atBoundary()
	}
	return false
}

// rejected reports whether the upstream itself has told the client that it may not log in.
func (s *session) rejected() bool { return s.login != nil && s.login.state == loginRefused }

// result describes the ended session.
func (s *session) result(err error) SessionResult {
	r := SessionResult{
		Phase: Phase(s.phase.Load()), Reason: ReasonOK, Duration: time.Since(s.info.Accepted),
		ToUpstream: s.toUpstream.Load(), ToClient: s.toClient.Load(), Err: err,
	}
	if s.rejected() {
		r.SQLState = s.login.sqlState
	}
	if d, ok := asDescribed(err); ok {
		r.Reason = Reason(d.Reason())
	}
	if s.told != "" {
		r.SQLState = s.told
	}
	return r
}
