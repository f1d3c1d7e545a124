package pgwire

import (
	"errors"
	"io"
	"slices"
)

// Cases of a client that left when it was asked to authenticate. The case without a word is a password, MD5 or
// SCRAM.
const (
	CaseAskedByBridge Case = "asked_by_bridge" // for its password in the clear, on this machine
	CaseAskedForBound Case = "asked_for_bound" // SCRAM with a channel binding that was passed on
	CaseAskedForOAuth Case = "asked_for_oauth"
	CaseAskedForToken Case = "asked_for_token" // of GSSAPI or SSPI
)

// unlessAbandoned returns another error in place of err if the client left when it was asked to authenticate.
// libpq does that on purpose, so that psql can ask a person for the password.
func (s *session) unlessAbandoned(err error) error {
	var gone *Error
	if !errors.As(err, &gone) || gone.Kind != ReasonClientGone || s.login == nil || !s.login.asksClient() {
		return err
	}
	abandoned := &Error{Kind: ReasonLoginAbandoned}
	if !errors.Is(gone.Err, io.EOF) {
		abandoned.Err = gone.Err
	}
	var method AuthMethods
	switch l := s.login; {
	case !l.bridged:
		method, abandoned.Case = l.asked()
		abandoned.Text = "the client left when the upstream asked for " + loginMethod(method)
	case s.server.Password == nil && l.password == nil:
		method, abandoned.Case = methodPassword, CaseAskedByBridge
		abandoned.Text = "the client left when pgorigin asked for its password"
	default: // it was asked for nothing
		return err
	}
	s.info.Method = loginMethod(method)
	return abandoned
}

// asksClient reports whether the next message is the client's, or that of the bridge.
func (m *loginMachine) asksClient() bool {
	return slices.Contains([]loginState{
		loginAsked, loginOffered, loginSCRAMContinued, loginSASLContinued, loginTokens,
	}, m.state)
}

// asked returns the method that the client was asked for, of several the first. It is zero if it has no name.
func (m *loginMachine) asked() (AuthMethods, Case) {
	method := m.method
	if method == 0 && len(m.offer) > 0 {
		method = methodOfMechanism(m.offer[0])
	}
	return method, map[AuthMethods]Case{
		methodSCRAMPlus: CaseAskedForBound, methodOAuth: CaseAskedForOAuth,
		methodGSS: CaseAskedForToken, methodSSPI: CaseAskedForToken,
	}[method]
}

// loginMethod is the name of a method. Zero is a SASL mechanism that has none.
func loginMethod(method AuthMethods) string {
	if method == 0 {
		return otherMethod
	}
	return method.String()
}
