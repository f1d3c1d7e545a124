package pgwire

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A login may begin again on another connection, with the same startup packet, as long as nothing of the
// upstream has reached the client. So the client does not notice that an upstream is restarted, or that a
// spare was dead.

const (
	// maxHeld bounds what is held back from the client, so that the login may begin again.
	maxHeld = maxLoginMessage
	// replaceEvery is the least time between two replacements of one session. The opener knows better when to
	// try again. This bound holds for one that does not wait, in front of an upstream that refuses for ever.
	replaceEvery = 100 * time.Millisecond
)

// replace closes an upstream connection that cannot be used, because of why, and opens another. If replaced is
// false and err is nil, there is no other one, and the login ends because of why.
func (s *session) replace(why error) (replaced bool, err error) {
	l := s.login
	if l.bridging && l.password == nil { // a second request would confuse the client
		if err := s.awaitPassword(); err != nil {
			return false, err
		}
	}
	s.upstream.setFinalDeadline(closeTimeout)
	s.upstream.close()
	before := l.attempt
	l.attempt = attempt{}
	if err := s.pace(); err != nil {
		return false, err
	}
	err = s.openLeg(func(ctx context.Context) (Opened, error) { return before.opened.Replace(ctx, why) })
	if errors.Is(err, why) {
		l.attempt = before
		l.opened = Opened{}
		s.phase.Store(int32(PhaseAuth))
		return false, nil
	}
	return err == nil, err
}

// triedPassword notes that the upstream has ended. It reports whether that was the second end in answer to a
// password. Such an end may count as a failed login, and too many of them lock the user out.
func (s *session) triedPassword() bool {
	l := s.login
	if !l.given || l.accepted() {
		return false
	}
	before := l.inVain
	l.inVain = true
	return before
}

// pace waits until replaceEvery has passed since the last replacement of the session.
func (s *session) pace() error {
	due := s.login.replaced.Add(replaceEvery)
	if wait := time.Until(due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
	s.login.replaced = time.Now()
	return nil
}

// replaceable reports whether there may be another upstream connection, and the client knows nothing of this
// one.
func (s *session) replaceable() bool {
	return s.login.opened.Replace != nil && !s.login.shown && context.Cause(s.ctx) == nil
}

// holdsBack reports whether the client need not see yet what it may see.
func (s *session) holdsBack() bool { return s.replaceable() && len(s.login.held) <= maxHeld }

// hear notes whether the upstream takes the login. The error says why it refuses the connection, if another one
// may be taken.
func (s *session) hear(message []byte) error {
	l := s.login
	switch message[0] {
	case typeNotice, typeNegotiateVersion: // they do not say whether the upstream takes the login
		return nil
	}
	first := !l.heard
	l.heard = true
	if refusesConnection(message, first) {
		if s.replaceable() {
			return LoginRefusal(message)
		}
		return nil
	}
	if first && l.opened.Answered != nil {
		l.opened.Answered()
	}
	return nil
}

// refusesConnection reports whether a message is an ErrorResponse that refuses this connection, but not the
// login: the upstream starts or stops. The first message may also say that there are too many connections, or
// that this one is too old. A refused startup packet does not count: clients that cannot log in must not use up
// spares.
func refusesConnection(message []byte, first bool) bool {
	if message[0] != typeErrorResponse {
		return false
	}
	reasons := []Reason{ReasonServerStarting, ReasonUpstreamShutdown}
	if first {
		reasons = append(reasons, ReasonServerFull, ReasonLoginTimeout)
	}
	return slices.Contains(reasons, LoginRefusal(message).Kind)
}
