package pgwire

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"slices"
	"strings"
)

// maxPasswordMessage is PG_MAX_AUTH_TOKEN_LENGTH of PostgreSQL.
const maxPasswordMessage = 64 << 10

const typePasswordMessage = 'p' // also SASLInitialResponse and SASLResponse

// bridge logs in to the upstream on behalf of a client that only ever gives,
// or does not even have, a cleartext password. So the login is bound to the
// verified channel, whatever the client is able to do.
type bridge struct {
	password string
	asked    bool
	exchange *scram
	salted   saltedLogin // of the exchange
}

// unproven reports whether the upstream owes the proof that ends SCRAM.
func (b *bridge) unproven() bool { return b.exchange != nil && !b.exchange.proven }

// answerChallenge answers one authentication request of the upstream.
func (s *session) answerChallenge(challenge []byte) error {
	code, data := binary.BigEndian.Uint32(challenge), challenge[4:]
	if !s.bridge.asked {
		if err := s.obtainPassword(); err != nil {
			return err
		}
	}
	switch code {
	case authCleartext:
		return s.respond(append([]byte(s.bridge.password), 0))
	case authMD5:
		return s.respond(append(md5Response(s.bridge.password, s.user, data), 0))
	case authSASL:
		return s.beginSCRAM(data)
	}
	exchange := s.bridge.exchange
	if exchange == nil {
		return upstreamProtocol("the upstream went on with a SASL exchange that was not begun")
	}
	if code == authSASLFinal {
		if err := exchange.verify(data); err != nil {
			return s.scramFailure(err)
		}
		s.server.salted.keep(s.bridge.salted)
		return nil
	}
	final, err := exchange.final(data)
	if err != nil {
		return s.scramFailure(err)
	}
	return s.respond(final)
}

func (s *session) scramFailure(err error) error {
	return &Error{
		Kind: ReasonUpstreamProtocol, State: stateProtocolViolation, Err: err,
		Text: "the upstream broke the rules of SCRAM: " + err.Error(),
	}
}

// beginSCRAM picks the strongest mechanism that can be used. A certificate
// signed with Ed25519 has no hash to bind to (RFC 5929 names none).
func (s *session) beginSCRAM(list []byte) error {
	names, err := mechanisms(list)
	if err != nil {
		return malformedOffer()
	}
	var binding []byte
	if secured, ok := s.upstream.Conn.(interface{ ServerEndPoint() []byte }); ok {
		binding = secured.ServerEndPoint()
	}
	mechanism := scramSHA256Plus
	if binding == nil || !slices.Contains(names, scramSHA256Plus) {
		mechanism, binding = scramSHA256, nil
	}
	if !slices.Contains(names, mechanism) {
		return &Error{
			Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
			Text: "the upstream offers no SASL mechanism that can be used with its certificate: " + sanitize(strings.Join(names, ", ")),
		}
	}
	s.bridge.exchange = newScram(binding, s.saltPassword)
	return s.respond(initialResponse(mechanism, s.bridge.exchange.first()))
}

// saltPassword is the expensive part of SCRAM, skipped for a login that has
// worked before.
func (s *session) saltPassword(salt []byte, iterations int) ([]byte, error) {
	login := s.server.salted.login(s.user, s.bridge.password, salt, iterations)
	if login.salted == nil {
		salted, err := saltedPassword(s.bridge.password, salt, iterations)
		if err != nil {
			return nil, err
		}
		login.salted = salted
	}
	s.bridge.salted = login
	return login.salted, nil
}

// respond sends a message of type 'p' to the upstream.
func (s *session) respond(body []byte) error {
	message := make([]byte, 0, messageHeader+len(body))
	message = append(message, typePasswordMessage)
	message = binary.BigEndian.AppendUint32(message, uint32(4+len(body)))
	n, err := s.upstream.Write(append(message, body...))
	s.toUpstream.Add(int64(n))
	if err != nil {
		return upstreamLost(PhaseAuth, err)
	}
	return nil
}

// obtainPassword takes the configured password or asks the client for its own,
// in the clear and therefore over nothing but loopback or a Unix socket.
func (s *session) obtainPassword() error {
	s.bridge.asked = true
	if s.server.Password != nil {
		password, err := s.server.Password()
		if err != nil {
			return &Error{
				Kind: ReasonAuthRejected, State: stateInvalidAuth, Err: err,
				Text: "the configured password cannot be read",
			}
		}
		s.bridge.password = password
		return nil
	}
	if !staysOnMachine(s.client.LocalAddr()) {
		return &Error{
			Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
			Text: "a password is asked for in the clear only over loopback or a Unix socket, and this client came another way",
		}
	}
	request := []byte{typeAuthentication, 0, 0, 0, 8, 0, 0, 0, authCleartext}
	if err := s.writeToClient(request); err != nil {
		return err
	}
	password, err := s.readPassword()
	if err != nil {
		return err
	}
	if password == "" {
		return &Error{Kind: ReasonAuthRejected, State: stateInvalidPassword, Text: "the client sent an empty password"}
	}
	s.bridge.password = password
	return nil
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

// md5Response is PostgreSQL's answer to AuthenticationMD5Password: "md5" and
// md5(md5(password, user), salt), in hexadecimal.
func md5Response(password, user string, salt []byte) []byte {
	inner := md5.Sum([]byte(password + user))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt...))
	return []byte("md5" + hex.EncodeToString(outer[:]))
}
