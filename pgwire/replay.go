package pgwire

import (
	"context"
	"errors"
	"strings"
	"time"
)

// errDeadSpare ends a login that may be begun again on a fresh connection.
var errDeadSpare = errors.New("the spare connection is dead")

// connect makes what open returns the upstream leg.
func (s *session) connect(open func(context.Context) (Upstream, error)) error {
	s.phase.Store(int32(PhaseDial))
	start := time.Now()
	conn, err := open(s.ctx)
	if err != nil {
		return s.causeOf(dialError(err))
	}
	s.upstreamConn, s.upstream = conn, newLeg(s.ctx, conn)
	s.server.Trace.upstreamReady(s.info, conn, time.Since(start))
	return nil
}

// dial opens the upstream leg of a session, which may be a spare.
func (s *session) dial() error {
	return s.connect(func(ctx context.Context) (conn Upstream, err error) {
		if s.server.DialSession == nil {
			return s.server.Dial(ctx, nil)
		}
		conn, s.spare, err = s.server.DialSession(ctx)
		return conn, err
	})
}

// replaceSpare closes a dead spare and dials anew. What comes of that is final.
func (s *session) replaceSpare() error {
	dead := s.spare
	s.spare = nil
	s.upstream.close()
	return s.connect(dead.Replace)
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
	s.login = s.newLogin()
	sent, err := s.upstream.Write(packet)
	s.toUpstream.Store(int64(sent))
	s.login.sendErr = err
	return s.authenticate()
}

// spareMayEnd reports whether the upstream leg is a spare that can still be replaced.
func (s *session) spareMayEnd() bool { return s.spare != nil && !s.login.heard }

// spareEnded reports whether an error of reading is that of a dead spare, rather
// than of a session that was interrupted.
func (s *session) spareEnded() bool { return s.spareMayEnd() && context.Cause(s.ctx) == nil }

// isStaleVerdict reports whether the first message of the upstream is an ErrorResponse about the moment at
// which the connection was made, or about how many there are: another connection may fare better. The refusal
// of a startup packet is none, so that clients which cannot log in do not use up spares.
func isStaleVerdict(message []byte) bool {
	if message[0] != typeErrorResponse {
		return false
	}
	body := message[messageHeader:]
	switch sqlStateOf(body) {
	case stateCannotConnectNow, stateTooManyConnections:
		return true
	case stateProtocolViolation: // pgbouncer has this code for everything that it refuses
		text := errorField(body, 'M')
		return text == "client_login_timeout" || strings.HasPrefix(text, "no more connections allowed")
	}
	return false
}
