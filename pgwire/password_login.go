package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
)

// PasswordLogin is the client's side of one login with a password, for a client of pgorigin's own: messages
// of the upstream in, answers out. It accepts from the upstream what a session accepts. It picks the
// strongest method that is offered, bound to the TLS channel if that is possible. It reads and writes
// nothing.
type PasswordLogin struct {
	machine loginMachine
	answers answerer
}

// NewPasswordLogin returns a login over upstream, for user as in the startup packet. allowed are the methods
// that the upstream may ask for; zero means any.
func NewPasswordLogin(upstream Upstream, user, password string, allowed AuthMethods) *PasswordLogin {
	return &PasswordLogin{
		machine: newLoginMachine(BridgeChannelBinding, allowed),
		answers: answerer{user: user, password: password, upstream: upstream, salted: new(scram.Cache)},
	}
}

// Next takes a whole message of the upstream, and returns the whole message that answers it. The answer is
// nil if the upstream goes on.
func (l *PasswordLogin) Next(ctx context.Context, message []byte) (answer []byte, err error) {
	_, turn, err := l.machine.upstreamSays(message)
	switch {
	case err != nil || turn == upstreamsTurn:
		return nil, err
	case turn == clientsTurn:
		methods, err := RequestedMethods(message)
		if err != nil {
			return nil, err
		}
		return nil, &Error{
			Kind: ReasonAuthRejected, State: stateInvalidAuth,
			Text: "the upstream asks for " + strings.Join(methods, ", ") +
				", which pgorigin cannot answer with a password",
		}
	}
	answer, err = l.answers.answer(ctx, message, l.machine.offer)
	if err != nil || answer == nil {
		return nil, err
	}
	return answer, l.machine.clientSays(answer)
}

// Succeeded reports whether the upstream has sent ReadyForQuery.
func (l *PasswordLogin) Succeeded() bool { return l.machine.state == loginReady }

// Refused reports whether the last message was an ErrorResponse.
func (l *PasswordLogin) Refused() bool { return l.machine.state == loginRefused }

// ReadError returns why no message came, if the login tells more than err.
func (l *PasswordLogin) ReadError(err error) error {
	if !l.machine.accepted() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return &Error{
		Kind: ReasonLoginTimeout, Case: CasePoolerWaits, State: stateQueryCanceled, Err: err,
		Text: "the login took too long: the upstream has authenticated the client, and sent nothing more",
	}
}

// Mechanism returns the SASL mechanism, and "" for another method.
func (l *PasswordLogin) Mechanism() string { return l.machine.mechanism }

// Refusal returns why a session with these allowed methods ends if an upstream asks for methods, names as of
// RequestedMethods, of which it allows none.
func (m AuthMethods) Refusal(methods []string) *Error {
	last := methods[len(methods)-1] // servers offer the bound ones first
	return refuseMethod(m, methodBit(last)|methodOfMechanism(last), "asks for "+strings.Join(methods, ", "))
}

// maxMechanisms bounds an offer that is shown to people.
const maxMechanisms = 20

// RequestedMethods returns how an authentication request, a whole message, wants a client to log in: names as
// of AuthMethods, but each SASL mechanism by its own name.
func RequestedMethods(request []byte) ([]string, error) {
	body := request[messageHeader:]
	if len(body) < 4 {
		return nil, upstreamProtocol("the upstream sent a malformed authentication request")
	}
	switch code := binary.BigEndian.Uint32(body); code {
	case authOK:
		return []string{methodNone.String()}, nil
	case authCleartext:
		return []string{methodPassword.String()}, nil
	case authMD5:
		return []string{methodMD5.String()}, nil
	case authGSS:
		return []string{methodGSS.String()}, nil
	case authSSPI:
		return []string{methodSSPI.String()}, nil
	case authSASL:
		names, err := mechanisms(body[4:])
		if err != nil || len(names) > maxMechanisms {
			return nil, upstreamProtocol("the upstream sent a malformed authentication request")
		}
		for i := range names {
			names[i] = mechanismName(names[i])
		}
		return names, nil
	case authGSSContinue, authSASLContinue, authSASLFinal:
		return nil, upstreamProtocol("the upstream sent authentication request %d out of turn", code)
	default:
		return nil, unknownMethod(code)
	}
}

// mechanismName is a name as RFC 4422 allows it, with a question mark in place of anything else.
func mechanismName(name string) string {
	const most = 40
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '?'
	}, name[:min(len(name), most)])
}
