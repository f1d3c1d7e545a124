package pgwire

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
)

// maxPasswordMessage is PG_MAX_AUTH_TOKEN_LENGTH of PostgreSQL.
const maxPasswordMessage = 64 << 10

const typePasswordMessage = 'p' // also SASLInitialResponse and SASLResponse

// bridge logs in to the upstream on behalf of a client that only ever gives,
// or does not even have, a cleartext password. So the login is bound to the
// verified channel, whatever the client is able to do.
type bridge struct {
	answerer
	asked bool
}

// answerChallenge answers one authentication request of the upstream.
func (s *session) answerChallenge(challenge []byte) error {
	if !s.bridge.asked {
		s.bridge.asked = true
		password, err := s.obtainPassword()
		if err != nil {
			return err
		}
		s.bridge.answerer = answerer{user: s.user, password: password, salted: &s.server.salted}
	}
	s.bridge.upstream = s.upstream.Conn
	response, err := s.bridge.answer(challenge)
	if err != nil || response == nil {
		return err
	}
	n, err := s.upstream.Write(frontendMessage(typePasswordMessage, response))
	s.toUpstream.Add(int64(n))
	if err != nil {
		return upstreamLost(PhaseAuth, err)
	}
	return nil
}

// obtainPassword takes the configured password or asks the client for its own,
// in the clear and therefore over nothing but loopback or a Unix socket.
func (s *session) obtainPassword() (string, error) {
	if s.server.Password != nil {
		password, err := s.server.Password()
		if err != nil {
			return "", &Error{
				Kind: ReasonAuthRejected, State: stateInvalidAuth, Err: err,
				Text: "the configured password cannot be read",
			}
		}
		return password, nil
	}
	if !staysOnMachine(s.client.LocalAddr()) {
		return "", &Error{
			Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
			Text: "a password is asked for in the clear only over loopback or a Unix socket, and this client came another way",
		}
	}
	request := []byte{typeAuthentication, 0, 0, 0, 8, 0, 0, 0, authCleartext}
	if err := s.writeToClient(request); err != nil {
		return "", err
	}
	password, err := s.readPassword()
	if err != nil {
		return "", err
	}
	if password == "" {
		return "", &Error{Kind: ReasonAuthRejected, State: stateInvalidPassword, Text: "the client sent an empty password"}
	}
	return password, nil
}

// readPassword reads one PasswordMessage and not a byte more.
func (s *session) readPassword() (string, error) {
	var head [messageHeader]byte
	if _, err := io.ReadFull(s.client, head[:]); err != nil {
		return "", &Error{Kind: ReasonClientGone, Text: "the client left when it was asked for a password: has it got one?", Err: err}
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != typePasswordMessage || size < 5 || size > maxPasswordMessage {
		return "", badStartup("the client answered the request for a password with another message")
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(s.client, body); err != nil {
		return "", clientGone(err)
	}
	if i := slices.Index(body, 0); i != len(body)-1 {
		return "", badStartup("the client sent a malformed PasswordMessage")
	}
	return string(body[:len(body)-1]), nil
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
