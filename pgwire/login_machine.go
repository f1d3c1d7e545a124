package pgwire

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// loginState is how far a login has come. In the table, the zero value means that a message has no place.
type loginState uint8

const (
	noPlace             loginState = iota
	loginBegun                     // the startup packet is sent
	loginVersioned                 // the upstream has named the protocol version that it speaks
	loginAsked                     // for a cleartext or MD5 password; the client's turn
	loginAnswered                  // with that
	loginOffered                   // SASL mechanisms; the client's turn
	loginSCRAM                     // the client has picked SCRAM and sent its first message
	loginSCRAMContinued            // the client's turn
	loginSCRAMAnswered             // the client has sent its proof
	loginSCRAMProven               // the upstream has sent its own
	loginSASL                      // the client has picked another mechanism and sent its first message
	loginSASLContinued             // the client's turn
	loginSASLAnswered              // with an acknowledgement of what went wrong
	loginTokens                    // GSSAPI or SSPI; both may speak
	loginOK                        // the upstream has accepted the login
	loginKeyed                     // and has sent the key for cancel requests
	loginReady                     // over: the relay begins
	loginRefused                   // over: the upstream has sent an ErrorResponse
	loginStates
)

// loginEvent is a message that a login may have: of the upstream up to sawReady, then of the client.
type loginEvent uint8

const (
	sawVersion loginEvent = iota // NegotiateProtocolVersion
	sawNotice
	sawError
	sawCleartext
	sawMD5
	sawGSS
	sawSSPI
	sawGSSContinue
	sawSASL
	sawSASLContinue
	sawSASLFinal
	sawOK
	sawParameter
	sawKey
	sawNotification // a login trigger may listen
	sawReady
	gotSCRAM    // the client picks a SCRAM mechanism
	gotResponse // any other message of type p
	loginEvents
)

// loginTable returns, for each state, the messages that may come and the state after each.
// docs/reference/login.md is made from it.
func loginTable() [loginStates][loginEvents]loginState {
	return [loginStates][loginEvents]loginState{
		loginBegun: {
			sawVersion: loginVersioned, sawNotice: loginBegun, sawError: loginRefused,
			sawCleartext: loginAsked, sawMD5: loginAsked, sawGSS: loginTokens, sawSSPI: loginTokens,
			sawSASL: loginOffered, sawOK: loginOK,
		},
		loginVersioned: {
			sawNotice: loginVersioned, sawError: loginRefused,
			sawCleartext: loginAsked, sawMD5: loginAsked, sawGSS: loginTokens, sawSSPI: loginTokens,
			sawSASL: loginOffered, sawOK: loginOK,
		},
		loginAsked:    {sawNotice: loginAsked, sawError: loginRefused, gotResponse: loginAnswered},
		loginAnswered: {sawNotice: loginAnswered, sawError: loginRefused, sawOK: loginOK},
		loginOffered: {
			sawNotice: loginOffered, sawError: loginRefused, gotSCRAM: loginSCRAM, gotResponse: loginSASL,
		},
		loginSCRAM: {sawNotice: loginSCRAM, sawError: loginRefused, sawSASLContinue: loginSCRAMContinued},
		loginSCRAMContinued: {
			sawNotice: loginSCRAMContinued, sawError: loginRefused, gotResponse: loginSCRAMAnswered,
		},
		loginSCRAMAnswered: {
			sawNotice: loginSCRAMAnswered, sawError: loginRefused, sawSASLFinal: loginSCRAMProven,
		},
		loginSCRAMProven: {sawNotice: loginSCRAMProven, sawError: loginRefused, sawOK: loginOK},
		loginSASL: {
			sawNotice: loginSASL, sawError: loginRefused, sawSASLContinue: loginSASLContinued, sawOK: loginOK,
		},
		loginSASLContinued: {
			sawNotice: loginSASLContinued, sawError: loginRefused, gotResponse: loginSASLAnswered,
		},
		loginSASLAnswered: {sawNotice: loginSASLAnswered, sawError: loginRefused},
		loginTokens: {
			sawNotice: loginTokens, sawError: loginRefused, sawGSSContinue: loginTokens, sawOK: loginOK,
			gotResponse: loginTokens,
		},
		loginOK: {
			sawNotice: loginOK, sawError: loginRefused, sawParameter: loginOK, sawKey: loginKeyed,
			sawNotification: loginOK, sawReady: loginReady,
		},
		loginKeyed: {
			sawNotice: loginKeyed, sawError: loginRefused, sawParameter: loginKeyed,
			sawNotification: loginKeyed, sawReady: loginReady,
		},
	}
}

// maxTokens bounds the requests of a GSSAPI or SSPI login; real ones need two or three.
const maxTokens = 64

// loginMachine follows one login from the startup packet to ReadyForQuery, by whole messages of both sides.
// It says which message may come when, and what the client may see. It reads and writes nothing.
type loginMachine struct {
	binding ChannelBinding
	allowed AuthMethods // zero means any
	secured bool        // the client has TLS, which ends here

	state     loginState
	method    AuthMethods // that was asked for first, and for SASL the one that was picked; zero means none
	mechanism string      // of SASL, once it was picked
	offer     []string    // mechanisms that may be picked
	stripped  bool        // the offer lost channel binding
	bridged   bool        // the bridge answers; the client is shown no request
	rounds    int         // of tokens

	refusal   *Error // nil unless the upstream has refused the login
	cancelKey string // process ID and secret of BackendKeyData; "" if there was none that can be used
}

// newLoginMachine returns the machine of a login whose startup packet is sent. If allowed is zero, the
// upstream may ask for any method.
func newLoginMachine(binding ChannelBinding, allowed AuthMethods) loginMachine {
	return loginMachine{binding: binding, allowed: allowed, state: loginBegun}
}

// ended reports whether the login has succeeded or was refused.
func (m *loginMachine) ended() bool { return m.state == loginReady || m.state == loginRefused }

// accepted reports whether the upstream has authenticated the client, and is not ready. A pooler waits there for
// a server.
func (m *loginMachine) accepted() bool {
	return m.state == loginSCRAMProven || m.state == loginOK || m.state == loginKeyed
}

// loginTurn says who acts after a message of the upstream.
type loginTurn int

const (
	upstreamsTurn loginTurn = iota // the upstream goes on
	clientsTurn                    // the client may answer
	bridgesTurn                    // the bridge answers or verifies; the client sees nothing
)

// upstreamSays takes a whole message of the upstream. It returns what the client may see of it.
func (m *loginMachine) upstreamSays(message []byte) (shown []byte, turn loginTurn, err error) {
	event, err := loginEventOf(message)
	if err != nil {
		return nil, 0, err
	}
	next := loginTable()[m.state][event]
	if next == noPlace {
		return nil, 0, m.outOfTurn(event)
	}
	if message, err = m.inspect(event, message); err != nil {
		return nil, 0, err
	}
	m.state = next
	switch {
	case event < sawCleartext || event > sawSASLFinal: // no request
		return message, upstreamsTurn, nil
	case m.bridged:
		return nil, bridgesTurn, nil
	case event == sawSASLFinal:
		return message, upstreamsTurn, nil
	}
	return message, clientsTurn, nil
}

// inspect notes what a message says, and returns what the client may see of it.
func (m *loginMachine) inspect(event loginEvent, message []byte) ([]byte, error) {
	body := message[messageHeader:]
	switch event {
	case sawCleartext:
		return message, m.ask(methodPassword, "a cleartext password")
	case sawMD5:
		return message, m.ask(methodMD5, "md5")
	case sawGSS:
		return message, m.ask(methodGSS, "gss")
	case sawSSPI:
		return message, m.ask(methodSSPI, "sspi")
	case sawGSSContinue:
		if m.rounds++; m.rounds > maxTokens {
			return nil, upstreamProtocol("the upstream asks for more than %d tokens", maxTokens)
		}
	case sawSASL:
		return m.reduce(message)
	case sawOK:
		if m.state <= loginVersioned && !m.allowed.contains(methodNone) {
			return nil, refuseMethod(m.allowed, methodNone, "asks for no authentication at all")
		}
	case sawError:
		m.refusal = LoginRefusal(message)
	case sawKey:
		if n := len(body); n >= minCancelKey && n <= maxCancelKey { // no CancelRequest can have another one
			m.cancelKey = string(body)
		}
	case sawVersion, sawNotice, sawSASLContinue, sawSASLFinal, sawParameter, sawNotification, sawReady,
		gotSCRAM, gotResponse, loginEvents:
	}
	return message, nil
}

// ask notes the method of the first request.
func (m *loginMachine) ask(method AuthMethods, name string) error {
	if !m.allowed.contains(method) {
		return refuseMethod(m.allowed, method, "asks for "+name)
	}
	m.method = method
	m.bridged = m.binding == BridgeChannelBinding && method&(methodPassword|methodMD5) != 0
	return nil
}

// reduce returns an offer of SASL mechanisms without those that are not allowed, or that the client cannot
// use.
func (m *loginMachine) reduce(message []byte) ([]byte, error) {
	const list = messageHeader + 4
	offered, err := mechanisms(message[list:])
	if err != nil {
		return nil, err
	}
	m.offer = slices.DeleteFunc(slices.Clone(offered), func(name string) bool {
		return !m.allowed.allowsMechanism(name)
	})
	if len(m.offer) == 0 {
		last := methodOfMechanism(offered[len(offered)-1]) // servers offer the bound ones first
		return nil, refuseMethod(m.allowed, last, "offers "+sanitize(strings.Join(offered, ", ")))
	}
	switch m.binding {
	case StripChannelBinding:
		allowed := len(m.offer)
		m.offer = slices.DeleteFunc(m.offer, bindsChannel)
		m.stripped = len(m.offer) < allowed
		if len(m.offer) == 0 {
			return nil, OnlyBound()
		}
	case BridgeChannelBinding:
		if m.bridged = slices.ContainsFunc(m.offer, isSCRAM); m.bridged {
			m.offer = slices.DeleteFunc(m.offer, func(name string) bool { return !isSCRAM(name) })
		}
	case PassChannelBinding:
	}
	if len(m.offer) == len(offered) {
		return message, nil
	}
	return encodeOffer(m.offer), nil
}

// clientSays takes a whole message of type p, from the client or from the bridge.
func (m *loginMachine) clientSays(message []byte) error {
	event := gotResponse
	if m.state == loginOffered {
		mechanism, data, err := initialResponseOf(message[messageHeader:])
		if err != nil {
			return err
		}
		if !slices.Contains(m.offer, mechanism) {
			return badStartup("the client picked a SASL mechanism that it was not offered: %q",
				sanitize(mechanism))
		}
		if err := m.checkBinding(mechanism, data); err != nil {
			return err
		}
		m.mechanism, m.method = mechanism, methodOfMechanism(mechanism)
		if isSCRAM(mechanism) {
			event = gotSCRAM
		}
	}
	next := loginTable()[m.state][event]
	if next == noPlace {
		return badStartup("the client sent a response that the upstream did not ask for")
	}
	m.state = next
	return nil
}

// checkBinding refuses a login that the upstream would refuse in vague words, because the client could bind it to
// a TLS channel, or does so. That channel is not the upstream's. A bridge binds it to the right one.
func (m *loginMachine) checkBinding(mechanism string, data []byte) error {
	switch {
	case m.bridged:
		return nil
	case m.secured && bindsChannel(mechanism), m.secured && m.stripped && saysCouldBind(mechanism, data):
		return boundToClient()
	case m.stripped && saysCouldBind(mechanism, data):
		return couldBind()
	}
	return nil
}

// methodName is the name of the method by which the client has logged in.
func (m *loginMachine) methodName() string {
	switch {
	case m.method != 0:
		return m.method.String()
	case m.mechanism != "":
		return otherMethod
	}
	return methodNone.String()
}

// outOfTurn describes a message that has no place in the state.
func (m *loginMachine) outOfTurn(event loginEvent) error {
	if event == sawOK && m.state >= loginSCRAM && m.state <= loginSCRAMAnswered {
		return unprovenLogin()
	}
	return upstreamProtocol("the upstream sent %v out of turn (state of the login: %v)", event, m.state)
}

// loginEventOf says what a whole message of the upstream is. The error is for a message that no login has.
func loginEventOf(message []byte) (loginEvent, error) {
	body := message[messageHeader:]
	switch message[0] {
	case typeNegotiateVersion:
		return sawVersion, nil
	case typeNotice:
		return sawNotice, nil
	case typeErrorResponse:
		return sawError, nil
	case typeParameterStatus:
		return sawParameter, nil
	case typeBackendKeyData:
		return sawKey, nil
	case typeNotification:
		return sawNotification, nil
	case typeReadyForQuery:
		if len(body) == 1 {
			return sawReady, nil
		}
	case typeAuthentication:
		return requestEventOf(body)
	}
	return 0, malformedLogin(message[0])
}

// requestEventOf is loginEventOf for the body of an authentication request.
func requestEventOf(body []byte) (loginEvent, error) {
	const code = 4
	if len(body) < code {
		return 0, malformedLogin(typeAuthentication)
	}
	var event loginEvent
	least, most := code, code
	switch number := binary.BigEndian.Uint32(body); number {
	case authOK:
		event = sawOK
	case authCleartext:
		event = sawCleartext
	case authMD5:
		event, least, most = sawMD5, code+4, code+4
	case authGSS:
		event = sawGSS
	case authSSPI:
		event = sawSSPI
	case authGSSContinue:
		event, most = sawGSSContinue, maxLoginMessage
	case authSASL:
		event, most = sawSASL, maxSASLMessage
	case authSASLContinue:
		event, most = sawSASLContinue, maxSASLMessage
	case authSASLFinal:
		event, most = sawSASLFinal, maxSASLMessage
	default:
		return 0, unknownMethod(number)
	}
	if len(body) < least || len(body) > most {
		return 0, malformedLogin(typeAuthentication)
	}
	return event, nil
}

// unknownMethod is for an authentication request that no version of the protocol has.
func unknownMethod(number uint32) *Error {
	unknown := upstreamProtocol("the upstream sent authentication request %d, which pgorigin does not know",
		number)
	unknown.Case = CaseUnknownMethod
	return unknown
}

func malformedLogin(kind byte) error {
	return upstreamProtocol("the upstream sent a malformed %q message during login", string(rune(kind)))
}

// refuseMethod describes an upstream that wants a method that is not allowed. The method is zero if it has no
// name.
func refuseMethod(allowed, method AuthMethods, what string) *Error {
	refused := &Error{
		Kind: ReasonAuthRejected, State: stateInvalidAuth,
		Text: fmt.Sprintf("the upstream %s, but pgorigin allows only %v", what, allowed),
	}
	switch {
	case method == methodNone:
		refused.Case = CaseNoMethod
	case method != 0:
		refused.Case, refused.Value = CaseMethodNotAllowed, method.String()
	}
	return refused
}

// String describes the state in a few words.
func (s loginState) String() string {
	return [loginStates]string{
		noPlace:    "-",
		loginBegun: "startup packet sent", loginVersioned: "protocol version negotiated",
		loginAsked: "password asked for", loginAnswered: "password sent",
		loginOffered: "SASL mechanisms offered",
		loginSCRAM:   "SCRAM begun", loginSCRAMContinued: "SCRAM challenge received",
		loginSCRAMAnswered: "SCRAM proof sent", loginSCRAMProven: "SCRAM proof of the server received",
		loginSASL: "other SASL begun", loginSASLContinued: "other SASL challenge received",
		loginSASLAnswered: "other SASL answered",
		loginTokens:       "GSSAPI or SSPI tokens", loginOK: "authenticated", loginKeyed: "cancel key received",
		loginReady: "ready", loginRefused: "refused",
	}[min(s, loginStates-1)]
}

// String returns the name of the message.
func (e loginEvent) String() string {
	return [loginEvents]string{
		sawVersion: "NegotiateProtocolVersion", sawNotice: "NoticeResponse", sawError: "ErrorResponse",
		sawCleartext: "AuthenticationCleartextPassword", sawMD5: "AuthenticationMD5Password",
		sawGSS: "AuthenticationGSS", sawSSPI: "AuthenticationSSPI",
		sawGSSContinue: "AuthenticationGSSContinue", sawSASL: "AuthenticationSASL",
		sawSASLContinue: "AuthenticationSASLContinue", sawSASLFinal: "AuthenticationSASLFinal",
		sawOK: "AuthenticationOk", sawParameter: "ParameterStatus", sawKey: "BackendKeyData",
		sawNotification: "NotificationResponse", sawReady: "ReadyForQuery",
		gotSCRAM: "SASLInitialResponse with SCRAM", gotResponse: "any other response",
	}[min(e, loginEvents-1)]
}
