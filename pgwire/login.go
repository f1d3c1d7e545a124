package pgwire

import (
	"errors"
	"fmt"
)

func (s *Server) newAuthFilter() authFilter {
	return authFilter{binding: s.ChannelBinding, requests: authRequests{required: s.RequireAuth}}
}

// authenticate passes backend messages to the client until ReadyForQuery.
// sendErr is what became of the startup packet: an upstream that closed
// without reading it has often said why.
func (s *session) authenticate(sendErr error) error {
	buf := getBuffer()
	defer putBuffer(buf)
	for !s.auth.ready {
		n, err := s.upstream.Read(*buf)
		if broken := s.hear((*buf)[:n]); broken != nil {
			return broken
		}
		if err != nil && s.spareEnded() {
			return errDeadSpare
		}
		if err != nil && !s.auth.ready {
			return s.loginEnded(errors.Join(err, sendErr)) // what could be read says more than that nothing could be sent
		}
	}
	s.bridge, s.auth.held = bridge{}, nil // an idle session keeps neither a password nor a buffer
	s.server.Trace.authenticated(s.info)
	if spare, ok := s.upstream.Conn.(spare); ok {
		spare.LoggedIn()
	}
	return nil
}

// hear deals with what the upstream said during login: it forwards what the
// client may see and answers what a bridge has to answer.
func (s *session) hear(said []byte) error {
	var out []byte
	for more := true; more; {
		var broken error
		out, said, broken = s.auth.feed(out[:0], said)
		challenge := s.auth.challenge
		more = challenge != nil
		if !more {
			out = append(out, said...) // what came behind ReadyForQuery
		}
		if broken == nil && s.auth.authenticated && s.bridge.unproven() {
			return unprovenLogin()
		}
		if err := s.judgeSpare(out, len(out) > 0 || more || broken != nil); err != nil {
			return err
		}
		s.noteProgress()
		if len(out) > 0 {
			if err := s.writeToClient(out); err != nil {
				return err
			}
		}
		if broken != nil {
			return broken
		}
		if more {
			if err := s.answerChallenge(challenge); err != nil {
				return err
			}
			s.auth.challenge = nil
		}
	}
	if s.auth.authenticated || s.auth.tokens {
		s.startUplink()
	}
	return nil
}

// noteProgress takes over what the filter has learned, before the client learns it.
func (s *session) noteProgress() {
	s.noteCancelKey()
	if s.auth.stripped {
		s.stripped.Store(true)
	}
	if s.auth.ready {
		s.timer.Stop()
		s.phase.Store(int32(PhaseRelay))
	}
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
