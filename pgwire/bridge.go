package pgwire

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
)

// answerRequest answers one authentication request for a client that gives a cleartext password, or none. So
// the login is bound to the verified channel, whatever the client is able to do.
func (s *session) answerRequest(request []byte) error {
	l := s.login
	if l.answers == nil {
		password, hungUp, err := s.obtainPassword()
		if err != nil || hungUp {
			return err
		}
		l.answers = &answerer{
			user: s.user, password: password, upstream: s.upstreamConn, salted: &s.server.salted,
		}
	}
	response, err := l.answers.answer(s.ctx, request, l.offer)
	if err != nil || response == nil {
		return err
	}
	if err := l.clientSays(response); err != nil {
		return err
	}
	s.sendInLogin(response)
	l.given = binary.BigEndian.Uint32(request[messageHeader:]) != authSASL // whose answer has no proof
	return nil
}

// obtainPassword returns the configured password, or asks the client for its own: in the clear, and therefore
// over loopback or a Unix socket only. If hungUp is true, the upstream has not waited for it.
func (s *session) obtainPassword() (password string, hungUp bool, err error) {
	if s.server.Password != nil {
		if password, err = s.server.Password(); err != nil {
			return "", false, &Error{
				Kind: ReasonAuthRejected, Case: CasePasswordUnreadable, State: stateInvalidAuth, Err: err,
				Text: "the configured password cannot be read",
			}
		}
		return password, false, nil
	}
	if given := s.login.password; given != nil { // on an earlier connection
		return *given, false, nil
	}
	if !staysOnMachine(s.client.LocalAddr()) {
		return "", false, &Error{
			Kind: ReasonAuthChannelBinding, Case: CaseBridgeNotLocal, State: stateInvalidAuth,
			Text: "a password is asked for in the clear only over loopback or a Unix socket, " +
				"and this client came another way",
		}
	}
	if err := s.writeToClient([]byte{typeAuthentication, 0, 0, 0, 8, 0, 0, 0, authCleartext}); err != nil {
		return "", false, err
	}
	s.login.bridging = true
	message, hungUp, err := s.awaitResponse()
	if err != nil || hungUp {
		return "", hungUp, err
	}
	password, err = s.login.takePassword(message)
	return password, false, err
}

// awaitPassword waits for the answer to the bridge's request, after the upstream has hung up.
func (s *session) awaitPassword() error {
	s.watch.begin(nil)
	message, stopped, err := s.readResponse()
	for stopped && s.ctx.Err() == nil { // for an upstream that the session does not need any more
		s.client.allowReads()
		message, stopped, err = s.readResponse()
	}
	s.watch.answered()
	if cause := context.Cause(s.ctx); cause != nil || err != nil {
		return cmp.Or(cause, err)
	}
	_, err = s.login.takePassword(message)
	return err
}

// takePassword keeps the password of a PasswordMessage, for this attempt and others. It may be empty: the
// upstream has its own words for that.
func (l *login) takePassword(message []byte) (string, error) {
	body := message[messageHeader:]
	if i := slices.Index(body, 0); i < 0 || i != len(body)-1 {
		return "", badStartup("the client sent a malformed PasswordMessage")
	}
	password := string(body[:len(body)-1])
	l.password = &password
	return password, nil
}

// staysOnMachine reports whether bytes on a connection to addr stay on the machine.
func staysOnMachine(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// answerer answers the authentication requests of one login with a password. A loginMachine must have
// accepted the requests.
type answerer struct {
	user     string // as in the startup packet
	password string
	upstream Upstream
	salted   *scram.Cache

	exchange *scram.Exchange // nil before SASL
}

// answer returns the message of type 'p' that answers a request. It is nil if the request wants no answer:
// the last one of SCRAM, with the proof of the upstream. offer are the SASL mechanisms that may be picked. If
// ctx ends meanwhile, the error is its cause.
func (a *answerer) answer(ctx context.Context, request []byte, offer []string) ([]byte, error) {
	body := request[messageHeader:]
	code, data := binary.BigEndian.Uint32(body), body[4:]
	var answer []byte
	var err error
	switch code {
	case authCleartext:
		answer = append([]byte(a.password), 0)
	case authMD5:
		answer = append(md5Response(a.password, a.user, data), 0)
	case authSASL:
		answer, err = a.beginSCRAM(offer)
	case authSASLContinue:
		answer, err = a.exchange.Final(ctx, data)
	case authSASLFinal:
		err = a.exchange.Verify(data)
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && a.exchange != nil:
		return nil, scramFailure(err)
	case err != nil:
		return nil, err
	case code == authSASLFinal:
		return nil, nil
	}
	return encodeMessage(typePasswordMessage, answer), nil
}

// beginSCRAM picks the strongest mechanism that can be used.
func (a *answerer) beginSCRAM(offer []string) ([]byte, error) {
	able := a.upstream.CanBind()
	mechanism, header, binding := scram.SHA256, scram.Unable, []byte(nil)
	switch {
	case able && slices.Contains(offer, scram.SHA256Plus):
		var err error
		if binding, err = a.upstream.ServerEndPoint(); err == nil && len(binding) == 0 {
			err = errNoEndPoint
		}
		if err != nil {
			const text = "the login cannot be bound: the hash of the upstream's certificate is not known"
			return nil, cannotBind(text, err)
		}
		mechanism, header = scram.SHA256Plus, scram.Bound
	case slices.Contains(offer, scram.SHA256):
		if able {
			header = scram.NotOffered
		}
	case slices.Contains(offer, scram.SHA256Plus):
		const text = "the upstream offers only SCRAM-SHA-256-PLUS, " +
			"and its certificate is signed with Ed25519, which allows no channel binding"
		return nil, cannotBind(text, nil)
	default:
		unknown := upstreamProtocol("the upstream offers no SASL mechanism that pgorigin knows: %s",
			sanitize(strings.Join(offer, ", ")))
		unknown.Case = CaseUnknownMethod
		return nil, unknown
	}
	a.exchange = scram.New(header, binding, a.user, a.password, a.salted)
	return initialResponse(mechanism, a.exchange.First()), nil
}

var errNoEndPoint = errors.New("the connection has no data to bind to")

func cannotBind(text string, err error) error {
	return &Error{
		Kind: ReasonAuthChannelBinding, Case: CaseNothingToBindTo, State: stateInvalidAuth, Text: text, Err: err,
	}
}

func scramFailure(err error) error {
	return &Error{
		Kind: ReasonUpstreamProtocol, Case: CaseSCRAMUnproven, State: stateProtocolViolation,
		Text: "the upstream broke the rules of SCRAM: " + err.Error(),
	}
}

func unprovenLogin() error {
	unproven := upstreamProtocol("the upstream accepted the login without proving " +
		"that it knows the password's verifier")
	unproven.Case = CaseSCRAMUnproven
	return unproven
}

// md5Response answers AuthenticationMD5Password: "md5" and md5(md5(password, user), salt), in hexadecimal.
func md5Response(password, user string, salt []byte) []byte {
	inner := md5.Sum([]byte(password + user))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt...))
	return []byte("md5" + hex.EncodeToString(outer[:]))
}
