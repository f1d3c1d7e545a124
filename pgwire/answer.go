package pgwire

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"net"
	"slices"
	"strings"
)

// answerer answers an upstream's authentication requests with a password: one
// answerer, one login.
type answerer struct {
	user     string // as in the startup packet
	password string
	upstream net.Conn // SCRAM is bound to it if it can be
	salted   *saltedLogins

	mechanism string // of SASL, once one was picked
	exchange  *scram
	login     saltedLogin // of the exchange
}

// answer returns the body of the message of type 'p' that answers a request, or
// nil for a request that only wants to be heard.
func (a *answerer) answer(request []byte) ([]byte, error) {
	code, data := binary.BigEndian.Uint32(request), request[4:]
	switch code {
	case authCleartext:
		return append([]byte(a.password), 0), nil
	case authMD5:
		return append(md5Response(a.password, a.user, data), 0), nil
	case authSASL:
		return a.beginSCRAM(data)
	case authSASLContinue, authSASLFinal:
		return a.goOnWithSCRAM(code, data)
	}
	_, name := methodOf(code)
	return nil, &Error{
		Kind: ReasonAuthRejected, State: stateInvalidAuth,
		Text: "the upstream asks for " + name + ", which pgorigin cannot answer with a password",
	}
}

// unproven reports whether the upstream owes the proof that ends SCRAM.
func (a *answerer) unproven() bool { return a.exchange != nil && !a.exchange.proven }

// beginSCRAM picks the strongest mechanism that can be used. A certificate
// signed with Ed25519 has no hash to bind to (RFC 5929 names none).
func (a *answerer) beginSCRAM(list []byte) ([]byte, error) {
	names, err := mechanisms(list)
	if err != nil {
		return nil, malformedOffer()
	}
	var binding []byte
	if secured, ok := a.upstream.(interface{ ServerEndPoint() []byte }); ok && slices.Contains(names, scramSHA256Plus) {
		binding = secured.ServerEndPoint()
	}
	a.mechanism = scramSHA256Plus
	if binding == nil {
		a.mechanism = scramSHA256
	}
	if !slices.Contains(names, a.mechanism) {
		return nil, &Error{
			Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
			Text: "the upstream offers no SASL mechanism that can be used with its certificate: " + sanitize(strings.Join(names, ", ")),
		}
	}
	a.exchange = newScram(binding, a.saltPassword)
	return initialResponse(a.mechanism, a.exchange.first()), nil
}

func (a *answerer) goOnWithSCRAM(code uint32, data []byte) ([]byte, error) {
	if a.exchange == nil {
		return nil, upstreamProtocol("the upstream went on with a SASL exchange that was not begun")
	}
	if code == authSASLFinal {
		if err := a.exchange.verify(data); err != nil {
			return nil, scramFailure(err)
		}
		a.salted.keep(a.login)
		return nil, nil
	}
	final, err := a.exchange.final(data)
	if err != nil {
		return nil, scramFailure(err)
	}
	return final, nil
}

func scramFailure(err error) error {
	return &Error{
		Kind: ReasonUpstreamProtocol, State: stateProtocolViolation, Err: err,
		Text: "the upstream broke the rules of SCRAM: " + err.Error(),
	}
}

func unprovenLogin() error {
	return upstreamProtocol("the upstream accepted the login without proving that it knows the password's verifier")
}

// saltPassword is the expensive part of SCRAM, skipped for a login that has
// worked before.
func (a *answerer) saltPassword(salt []byte, iterations int) ([]byte, error) {
	login := a.salted.login(a.user, a.password, salt, iterations)
	if login.salted == nil {
		salted, err := saltedPassword(a.password, salt, iterations)
		if err != nil {
			return nil, err
		}
		login.salted = salted
	}
	a.login = login
	return login.salted, nil
}

// md5Response is PostgreSQL's answer to AuthenticationMD5Password: "md5" and
// md5(md5(password, user), salt), in hexadecimal.
func md5Response(password, user string, salt []byte) []byte {
	inner := md5.Sum([]byte(password + user))
	outer := md5.Sum(append([]byte(hex.EncodeToString(inner[:])), salt...))
	return []byte("md5" + hex.EncodeToString(outer[:]))
}

// frontendMessage returns a whole message with a type byte.
func frontendMessage(kind byte, body []byte) []byte {
	m := make([]byte, 0, messageHeader+len(body))
	m = append(m, kind)
	m = binary.BigEndian.AppendUint32(m, uint32(4+len(body)))
	return append(m, body...)
}
