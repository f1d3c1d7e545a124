package pgwire

import (
	"context"
	"slices"
)

// A spare that has died only costs the client time. Until the first message of the upstream, only the startup
// packet was read from the client, and nothing was written to it. A session without a spare does none of the
// following.

// replaceSpare closes a spare that cannot be used, and dials again. The new connection is not a spare.
func (s *session) replaceSpare() error {
	dead := s.spare
	s.spare = nil
	s.upstream.close()
	return s.connect(dead.Replace)
}

// spareReplaceable reports whether the upstream leg is a spare, and has not sent a message.
func (s *session) spareReplaceable() bool { return s.spare != nil && !s.login.heard }

// spareEnded reports whether an error of reading is that of a dead spare, rather than of an interrupt.
func (s *session) spareEnded() bool { return s.spareReplaceable() && context.Cause(s.ctx) == nil }

// refusesSpare reports whether the first message of the upstream says that another connection may fare
// better.
func (s *session) refusesSpare(message []byte) bool {
	if !s.spareReplaceable() {
		return false
	}
	s.login.heard = true
	return refusesConnection(message)
}

// spareLoggedIn says that the login on a spare has succeeded.
func (s *session) spareLoggedIn() {
	if s.spare != nil {
		s.spare.LoggedIn()
		s.spare = nil
	}
}

// refusesConnection reports whether a message is an ErrorResponse about the moment at which the connection
// was made, or about how many there are. The refusal of a startup packet is none: clients that cannot log in
// must not use up spares.
func refusesConnection(message []byte) bool {
	if message[0] != typeErrorResponse {
		return false
	}
	return slices.Contains([]Reason{
		ReasonServerStarting, ReasonServerFull, ReasonUpstreamShutdown, ReasonLoginTimeout,
	}, LoginRefusal(message).Kind)
}
