package pgwire

import (
	"context"
	"slices"
)

// A connection that the upstream ends at once only costs the client time. Until the first message of the
// upstream, only the startup packet was read from the client, and nothing was written to it.

// replace closes an upstream connection that cannot be used, and opens another.
func (s *session) replace(why error) error {
	opened := s.opened
	s.opened = Opened{}
	s.upstream.close()
	return s.connect(func(ctx context.Context) (Opened, error) { return opened.Replace(ctx, why) })
}

// replaceable reports whether there may be another upstream connection, and this one has not sent a message.
func (s *session) replaceable() bool { return s.opened.Replace != nil && !s.login.heard }

// endedAtOnce reports whether an error of reading is that of a dead connection, rather than of an interrupt.
func (s *session) endedAtOnce() bool { return s.replaceable() && context.Cause(s.ctx) == nil }

// refused reports whether the first message of the upstream says that another connection may fare better.
func (s *session) refused(message []byte) bool {
	if !s.replaceable() {
		return false
	}
	s.login.heard = true
	if refusesConnection(message) {
		return true
	}
	if s.opened.Answered != nil {
		s.opened.Answered()
	}
	return false
}

// loggedIn says that the login has succeeded.
func (s *session) loggedIn() {
	if s.opened.LoggedIn != nil {
		s.opened.LoggedIn()
	}
	s.opened = Opened{}
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
