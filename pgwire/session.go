package pgwire

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// closeTimeout bounds the end of a session: an ErrorResponse and an orderly close to the client, close_notify
// to the upstream.
const closeTimeout = time.Second

// session is one client connection and its upstream connection, from accept to the last close. One goroutine
// runs it and owns both connections. If an event loop takes over the relay, relayConn owns them, and End
// closes them.
type session struct {
	server *Server
	ctx    context.Context
	end    context.CancelCauseFunc // interrupts both legs; the first cause is the error of the session
	timer  *time.Timer             // LoginTimeout, stopped at ReadyForQuery

	client       *leg
	upstream     *leg     // nil until dialled
	upstreamConn Upstream // inside upstream

	info     SessionInfo
	phase    atomic.Int32 // a Phase; other goroutines read it, too
	user     string       // as in the startup packet
	key      string       // process ID and secret, as registered for cancels; "" before BackendKeyData
	admitted bool         // counts against MaxSessions
	logsIn   bool         // counts against Capacity.Logins
	told     string       // SQLSTATE of the error that the client was told at the end; "" for none

	login   *login // nil before open and once the relay has begun
	watch   loginWatch
	tracker txTracker

	toUpstream, toClient atomic.Int64 // bytes

	mu    sync.Mutex
	first *ending // how the relay began to end

	place   *list.Element // in Server.pending, whose mutex guards it
	cancels *semaphore    // of cancel requests for this session; guarded by Server.keys, nil before the first
}

// serve runs the session and reports its end, unless an event loop goes on with it and does that.
func (s *session) serve() {
	s.server.Trace.accepted(s.info)
	s.timer = time.AfterFunc(s.server.loginTimeout(), s.loginExpired)
	if onLoop, err := s.run(); !onLoop {
		s.finish(err)
	}
}

// run is the road of every session. Each step that is not the ordinary case returns at once where it is not
// wanted: forwardCancel, acquireLogin, watch, moveToLoop. If onLoop is true, an event loop goes on with the
// session. Otherwise the session is over, with an error that the client can be told, or with none.
func (s *session) run() (onLoop bool, err error) {
	packet, err := s.readStartupPacket()
	if err != nil {
		return false, s.causeOf(err)
	}
	if !s.info.Cancel {
		s.info.describe(packet)
		s.user = packet.parameter("user")
	}
	if err := s.server.allow(s.client.socket); err != nil {
		return false, err
	}
	if s.info.Cancel {
		return false, s.forwardCancel(packet)
	}
	s.server.Trace.started(s.info)
	s.watchClient()
	if err := s.server.admit(s); err != nil {
		return false, err
	}
	if err := s.open(packet.raw); err != nil {
		return false, s.unlessTerminated(s.unlessAbandoned(s.unlessAccepted(s.causeOf(err))))
	}
	if s.moveToLoop() {
		return true, nil
	}
	s.copyBothWays()
	return false, s.relayError()
}

// readStartupPacket reads what the client wants: a StartupMessage or a CancelRequest.
func (s *session) readStartupPacket() (startupPacket, error) {
	s.server.pending.add(s)
	var startTLS func([]byte) error
	if s.server.StartTLS != nil && !s.isLocal() {
		startTLS = s.startTLS
	}
	packet, refused, err := negotiate(s.client, startTLS)
	s.server.pending.remove(s)
	s.info.RefusedEncryption = refused
	if err != nil {
		return packet, err
	}
	s.info.Cancel = packet.code == codeCancelRequest
	return packet, nil
}

// open takes the session from the startup packet to the first ReadyForQuery.
func (s *session) open(packet []byte) error {
	s.phase.Store(int32(PhaseDial))
	s.login = new(login)
	if err := s.acquireLogin(); err != nil {
		return err
	}
	defer s.releaseLogin()
	if err := s.dial(); err != nil {
		return err
	}
	// The upstream is verified. Only now is anything sent to it.
	for {
		if again, err := s.logIn(packet); !again {
			return err
		}
	}
}

// dial opens the first upstream leg of the login.
func (s *session) dial() error {
	return s.openLeg(func(ctx context.Context) (opened Opened, err error) {
		if s.server.DialSession == nil {
			opened.Upstream, err = s.server.Dial(ctx, nil)
			return opened, err
		}
		return s.server.DialSession(ctx, s.aside)
	})
}

// openLeg makes what open returns the upstream leg of the login.
func (s *session) openLeg(open func(context.Context) (Opened, error)) error {
	return s.connect(func(ctx context.Context) (Upstream, error) {
		if s.server.draining.Load() { // drain may have come before PhaseDial
			return nil, refusedByDrain()
		}
		opened, err := open(ctx)
		s.login.opened = opened
		return opened.Upstream, err
	})
}

// connect makes what open returns the upstream leg.
func (s *session) connect(open func(context.Context) (Upstream, error)) error {
	s.phase.Store(int32(PhaseDial))
	start, waited := time.Now(), s.info.Waited
	conn, err := open(s.ctx)
	if err != nil {
		return s.causeOf(dialError(err))
	}
	s.upstreamConn, s.upstream = conn, newLeg(s.ctx, conn)
	s.server.Trace.upstreamReady(s.info, conn, time.Since(start)-(s.info.Waited-waited))
	return nil
}

// finish tells the client why the session ends, closes everything and reports the end. It is the last step of
// every session.
func (s *session) finish(err error) {
	s.timer.Stop()
	s.watch.stop()
	s.close(err)
	s.server.Trace.ended(s.info, s.result(err))
	s.server.remove(s)
}

// close tells the client why, as far as it may be told, and closes both legs.
func (s *session) close(err error) {
	s.client.setFinalDeadline(closeTimeout)
	if s.upstream != nil {
		s.upstream.setFinalDeadline(closeTimeout)
		s.upstream.close()
	}
	if err != nil {
		s.tellClient(err)
		if s.result(err).Reason != ReasonClientTimeout { // the place of a silent client is wanted for another
			s.client.linger()
		}
	}
	s.end(nil)
	s.client.close()
}

// shutDown ends the session because the server stops.
func (s *session) shutDown() {
	switch Phase(s.phase.Load()) {
	case PhaseStartup: // it asked for nothing yet
		s.end(&Error{Kind: ReasonDraining, Text: "pgorigin shut down before the client sent a startup packet"})
	case PhaseDial:
		s.end(refusedByDrain())
	case PhaseAuth:
		s.end(&Error{
			Kind: ReasonDraining, State: stateCannotConnectNow,
			Text: "the login was not finished, because pgorigin shuts down",
		})
	case PhaseRelay:
		s.end(&Error{
			Kind: ReasonDraining, State: stateAdminShutdown,
			Text: "terminating the session because pgorigin shuts down",
		})
	}
}

// drain ends the session if it is idle outside a transaction, or has no upstream yet: then nothing is lost,
// and an upstream that hangs must not hold up the drain.
func (s *session) drain() {
	phase := Phase(s.phase.Load())
	if phase == PhaseRelay && s.tracker.stopIfIdle() || phase == PhaseDial && !s.info.Cancel {
		s.shutDown()
	}
}

// causeOf returns why the session was interrupted, or err if it was not: an interrupt produces errors of its
// own.
func (s *session) causeOf(err error) error {
	if cause := context.Cause(s.ctx); cause != nil {
		return cause
	}
	return err
}

// unlessTerminated returns nil in place of err if the client said goodbye before it left.
func (s *session) unlessTerminated(err error) error {
	var gone *Error
	if errors.As(err, &gone) && gone.Kind == ReasonClientGone && s.tracker.clientTerminated() {
		return nil
	}
	return err
}

// tellClient writes err as an ErrorResponse, where the protocol has a place for one.
func (s *session) tellClient(err error) {
	d, ok := AsFailure(err)
	if !ok || d.SQLState() == "" || s.info.Cancel || !s.expectsMessage() {
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

// expectsMessage reports whether the client expects a new message, and has not been told by the upstream why
// the session ends.
func (s *session) expectsMessage() bool {
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
	if d, ok := AsFailure(err); ok {
		r.Reason = Reason(d.Reason())
	}
	var own *Error
	if errors.As(err, &own) && own.Server != nil {
		r.Server, r.SQLState = own.Server, own.Server.SQLState
	}
	if s.told != "" {
		r.SQLState = s.told
	}
	return r
}
