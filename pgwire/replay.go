package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"time"
)

// spare is an upstream connection that was made before anybody asked for it, and
// may have come to an end since; see [Server.DialSession].
type spare interface {
	Fresh(ctx context.Context) (net.Conn, error)
	LoggedIn()
}

// errDeadSpare ends a login that may be begun again on a fresh connection.
var errDeadSpare = errors.New("the spare connection is dead")

// connect makes what open returns the upstream leg.
func (s *session) connect(open func(context.Context) (net.Conn, error)) error {
	s.phase.Store(int32(PhaseDial))
	start := time.Now()
	conn, err := open(s.ctx)
	if err != nil {
		return s.causeOf(dialError(err))
	}
	s.upstream = newLeg(s.ctx, conn)
	s.server.Trace.upstreamReady(s.info, conn, time.Since(start))
	return nil
}

// dial opens the upstream leg of a session, which may be a spare.
func (s *session) dial() error {
	open := s.server.DialSession
	if open == nil {
		open = func(ctx context.Context) (net.Conn, error) { return s.server.Dial(ctx, nil) }
	}
	err := s.connect(open)
	if err == nil {
		s.spare, _ = s.upstream.Conn.(spare)
	}
	return err
}

// replaceSpare closes a dead spare and dials anew. What comes of that is final.
func (s *session) replaceSpare() error {
	dead := s.spare
	s.spare = nil
	s.upstream.close()
	s.auth = s.server.newAuthFilter()
	return s.connect(dead.Fresh)
}

// logIn is the auth phase. A spare that is dead costs the client nothing but
// time: until the first message of the upstream, nothing was read from the client
// but its startup packet, and nothing was written to it.
func (s *session) logIn(packet []byte) error {
	err := s.introduce(packet)
	if !errors.Is(err, errDeadSpare) {
		return err
	}
	if err := s.replaceSpare(); err != nil {
		return err
	}
	return s.introduce(packet)
}

// introduce sends the startup packet and follows the login to its end.
func (s *session) introduce(packet []byte) error {
	s.phase.Store(int32(PhaseAuth))
	sent, err := s.upstream.Write(packet)
	s.toUpstream.Store(int64(sent))
	if s.spare == nil {
		s.startLoginUplink()
	}
	return s.authenticate(err)
}

// startLoginUplink begins to copy from the client, except that a bridge talks to
// the client itself. On a spare it waits for the upstream's first message, which
// always comes before a client has to say more: what is pipelined behind the
// startup packet stays in the socket until it is known where it goes.
func (s *session) startLoginUplink() {
	if s.server.ChannelBinding != BridgeChannelBinding {
		s.startUplink()
	}
}

// judgeSpare looks at what the client is about to be sent. A spare is over with
// the first whole message of the upstream, be it for the client or a challenge:
// either it tells that the connection waited too long, or there is no way back.
func (s *session) judgeSpare(out []byte, whole bool) error {
	if s.spare == nil || !whole {
		return nil
	}
	if isStaleVerdict(out) {
		return errDeadSpare
	}
	s.spare = nil
	s.startLoginUplink()
	return nil
}

// spareEnded reports whether an error of reading is that of a dead spare, rather
// than of a session that was interrupted.
func (s *session) spareEnded() bool { return s.spare != nil && context.Cause(s.ctx) == nil }

// isStaleVerdict reports whether out begins with an ErrorResponse that is about
// the moment at which the connection was made, or about how many there are:
// another connection may fare better. The refusal of a startup packet is none,
// so that clients which cannot log in do not use up spares.
func isStaleVerdict(out []byte) bool {
	if len(out) < messageHeader || out[0] != typeErrorResponse {
		return false
	}
	size := 1 + int64(binary.BigEndian.Uint32(out[1:]))
	if size > maxHeldError || size > int64(len(out)) {
		return false // not held back, so it may have been cut anywhere
	}
	body := out[messageHeader:size]
	switch sqlStateOf(body) {
	case stateCannotConnectNow, stateTooManyConnections:
		return true
	case stateProtocolViolation: // pgbouncer has this code for everything that it refuses
		text := errorField(body, 'M')
		return text == "client_login_timeout" || strings.HasPrefix(text, "no more connections allowed")
	}
	return false
}
