package pgwire

import (
	"errors"
	"net"
	"slices"
)

const typePasswordMessage = 'p' // also SASLInitialResponse, SASLResponse and GSSResponse

// answerRequest answers one authentication request on behalf of a client that
// only ever gives, or does not even have, a cleartext password. So the login is
// bound to the verified channel, whatever the client is able to do.
func (s *session) answerRequest(request []byte) error {
	l := s.login
	if l.answers == nil {
		password, hungUp, err := s.obtainPassword()
		if err != nil || hungUp {
			return err
		}
		l.answers = &answerer{user: l.user, password: password, upstream: s.upstreamConn, salted: &s.server.salted}
	}
	response, err := l.answers.answer(s.ctx, request, l.offer)
	if err != nil || response == nil {
		return err
	}
	if err := l.clientSays(response); err != nil {
		return err
	}
	s.sendInLogin(response)
	return nil
}

// obtainPassword returns the configured password, or asks the client for its own: in the clear, and therefore
// over loopback or a Unix socket only. If hungUp is true, the upstream has not waited for it.
func (s *session) obtainPassword() (password string, hungUp bool, err error) {
	if s.server.Password != nil {
		if password, err = s.server.Password(); err != nil {
			return "", false, &Error{
				Kind: ReasonAuthRejected, State: stateInvalidAuth, Err: err,
				Text: "the configured password cannot be read",
			}
		}
		return password, false, nil
	}
	if !staysOnMachine(s.client.LocalAddr()) {
		return "", false, &Error{
			Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
			Text: "a password is asked for in the clear only over loopback or a Unix socket, and this client came another way",
		}
	}
	if err := s.writeToClient([]byte{typeAuthentication, 0, 0, 0, 8, 0, 0, 0, authCleartext}); err != nil {
		return "", false, err
	}
	return s.readPassword()
}

// readPassword reads the client's PasswordMessage. The password may be empty: the upstream has its own words
// for that.
func (s *session) readPassword() (password string, hungUp bool, err error) {
	message, hungUp, err := s.awaitResponse()
	var gone *Error
	if errors.As(err, &gone) && gone.Kind == ReasonClientGone {
		gone.Text = "the client left when pgorigin asked for a password; is one configured in the client?"
	}
	if err != nil || hungUp {
		return "", hungUp, err
	}
	body := message[messageHeader:]
	if i := slices.Index(body, 0); i < 0 || i != len(body)-1 {
		return "", false, badStartup("the client sent a malformed PasswordMessage")
	}
	return string(body[:len(body)-1]), false, nil
}

// staysOnMachine reports whether bytes on a connection to addr leave the machine.
func staysOnMachine(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}
