package pgwire

import (
	"container/list"
	"context"
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
	upstream *leg          // nil until dialled
	place    *list.Element // in Server.pending, whose mutex guards it

	info     SessionInfo
	phase    atomic.Int32 // a Phase; others read it too
	admitted bool         // counts against MaxSessions

	toUpstream, toClient atomic.Int64
	lingering            atomic.Bool // one direction ended: the other must make progress

	mu    sync.Mutex
	first *ending // how the relay began to end

	exchange exchange

	auth     authFilter
	bridge   bridge
	user     string        // as in the startup packet
	key      string        // process ID and secret, as registered for cancels
	stripped atomic.Bool   // the client was shown a shorter offer
	relayed  chan struct{} // closed when the uplink has ended; nil if it was not started
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

	if s.server.ChannelBinding != BridgeChannelBinding {
		s.startUplink()
	}
	err = s.authenticate(sendErr)
	if err == nil {
		s.relayToClient()
	} else {
		s.end(err)
	}
	if s.relayed != nil {
		<-s.relayed
	}
	if err != nil {
		return s.causeOf(err)
	}
	return s.verdict()
}

// startUplink begins to copy from client to upstream, on a goroutine of its own
// that run waits for. A bridge does so only when the login is over.
func (s *session) startUplink() {
	if s.relayed != nil {
		return
	}
	s.relayed = make(chan struct{})
	go func() {
		defer close(s.relayed)
		s.relayToUpstream()
	}()
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

// drain ends the session if it is idle outside a transaction.
func (s *session) drain() {
	if Phase(s.phase.Load()) == PhaseRelay && s.exchange.retire() {
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

// atBoundary reports whether the client expects a new message.
func (s *session) atBoundary() bool {
	switch Phase(s.phase.Load()) {
	case PhaseStartup, PhaseDial:
		return true
	case PhaseAuth:
		return s.auth.atBoundary()
	case PhaseRelay:
		return s.exchange.expectsMessage()
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
