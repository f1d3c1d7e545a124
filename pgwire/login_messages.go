package pgwire

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
)

const (
	messageHeader = 5 // type byte and length word
	// maxLoginMessage bounds a message before ReadyForQuery, from either side: it is the largest token that
	// PostgreSQL takes. A login holds each message until it is complete.
	maxLoginMessage = 64 << 10
	// maxLoginText bounds an ErrorResponse or NoticeResponse, which may have the text of a trigger.
	maxLoginText = 256 << 10
	// maxSASLMessage bounds a SASL message: some names, or a challenge. Those of PostgreSQL have at most 1
	// KiB.
	maxSASLMessage = 4 << 10
)

// Backend message types of a login; manual, "Message Formats".
const (
	typeAuthentication   = 'R'
	typeBackendKeyData   = 'K'
	typeErrorResponse    = 'E'
	typeNegotiateVersion = 'v'
	typeNotice           = 'N'
	typeNotification     = 'A'
	typeParameterStatus  = 'S'
	typeReadyForQuery    = 'Z'
)

// typePasswordMessage is of a client: also SASLInitialResponse, SASLResponse and GSSResponse.
const typePasswordMessage = 'p'

// Authentication request codes; manual, "Message Formats".
const (
	authOK           = 0
	authCleartext    = 3
	authMD5          = 5
	authGSS          = 7
	authGSSContinue  = 8
	authSSPI         = 9
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12
)

// loginMessages cuts what an upstream sends during login into whole messages, however the stream is divided.
// It allocates for bytes that have come, never for a declared length.
type loginMessages struct {
	held []byte
	read int // bytes of held that next has returned
}

// add appends p. Messages that next has returned become invalid.
func (m *loginMessages) add(p []byte) {
	if m.read > 0 {
		m.held = append(m.held[:0], m.held[m.read:]...)
		m.read = 0
	}
	m.held = append(m.held, p...)
}

// next returns the next message, if it is complete. The error is for a message that no login has.
func (m *loginMessages) next() (message []byte, complete bool, err error) {
	rest := m.rest()
	if len(rest) == 0 {
		return nil, false, nil
	}
	most := int64(maxLoginMessage)
	switch kind := rest[0]; kind {
	case typeErrorResponse, typeNotice:
		most = maxLoginText
	case typeAuthentication, typeBackendKeyData, typeNegotiateVersion, typeNotification, typeParameterStatus,
		typeReadyForQuery:
	default:
		return nil, false, upstreamProtocol(
			"the upstream sent a message of type %q during login; is it a Postgres server?", string(rune(kind)))
	}
	if len(rest) < messageHeader {
		return nil, false, nil
	}
	size := 1 + int64(binary.BigEndian.Uint32(rest[1:]))
	if size < messageHeader || size > messageHeader+most {
		return nil, false, upstreamProtocol("the upstream sent a message of impossible length during login")
	}
	if int64(len(rest)) < size {
		return nil, false, nil
	}
	m.read += int(size)
	return rest[:size:size], true, nil
}

// rest returns the bytes after the messages that next has returned.
func (m *loginMessages) rest() []byte { return m.held[m.read:] }

// sqlStateOf returns the SQLSTATE of an ErrorResponse's body, or "" if there is none.
func sqlStateOf(body []byte) string {
	if state := errorField(body, 'C'); len(state) == 5 {
		return sanitize(state)
	}
	return ""
}

// errorField returns a field of an ErrorResponse's body as it was sent, or "" if there is none.
func errorField(body []byte, code byte) string {
	for len(body) > 1 && body[0] != 0 {
		value, rest, ok := bytes.Cut(body[1:], []byte{0})
		if !ok {
			return ""
		}
		if body[0] == code {
			return string(value)
		}
		body = rest
	}
	return ""
}

const oauthBearer = "OAUTHBEARER" // a SASL mechanism

func isSCRAM(mechanism string) bool { return strings.HasPrefix(mechanism, "SCRAM-") }

func bindsChannel(mechanism string) bool { return strings.HasSuffix(mechanism, "-PLUS") }

// mechanisms splits a SASL mechanism list: each name ends with a NUL, and one more NUL ends the list. The
// result is never empty without an error.
func mechanisms(list []byte) ([]string, error) {
	names, ok := strings.CutSuffix(string(list), "\x00\x00")
	if !ok || names == "" {
		return nil, malformedOffer()
	}
	split := strings.Split(names, "\x00")
	for _, name := range split {
		if name == "" {
			return nil, malformedOffer()
		}
	}
	return split, nil
}

// encodeOffer returns an AuthenticationSASL message.
func encodeOffer(names []string) []byte {
	body := binary.BigEndian.AppendUint32(nil, authSASL)
	for _, name := range names {
		body = append(append(body, name...), 0)
	}
	return encodeMessage(typeAuthentication, append(body, 0))
}

func malformedOffer() error {
	return upstreamProtocol("the upstream sent a malformed list of SASL mechanisms")
}

// OnlyBound returns why a session ends if an upstream offers nothing but SASL with channel binding, and the
// offer is stripped.
func OnlyBound() *Error {
	return &Error{
		Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
		Text: "the upstream offers nothing but SCRAM-SHA-256-PLUS, " +
			"which a client without TLS of its own cannot use",
	}
}

// saysCouldBind reports whether a client answers an offer with the header "y,,". It says: the client could bind,
// and the server did not offer it (RFC 5802, section 6). If the offer was stripped, the server did offer it, so it
// would take that for an attack. Npgsql sends this header, and every libpq that has TLS.
func saysCouldBind(mechanism string, data []byte) bool {
	return mechanism == scram.SHA256 && len(data) > 0 && data[0] == scram.NotOffered[0]
}

// couldBind is for a client without TLS.
func couldBind() error {
	return &Error{
		Kind: ReasonAuthChannelBinding, State: stateInvalidAuth,
		Text: "the client says that it could bind the login to a TLS channel, " +
			"which the upstream offered but a client without TLS cannot use",
	}
}

// boundToClient is for a client with TLS. Its channel ends here.
func boundToClient() error {
	return &Error{
		Kind: ReasonAuthChannelBinding, Case: CaseBoundToClient, State: stateInvalidAuth,
		Text: "the client's TLS ends in pgorigin, so the client cannot bind its login to the TLS channel of " +
			"the upstream, and the upstream offers channel binding",
	}
}

// initialResponseOf splits the body of a SASLInitialResponse. The data are empty if the client sent none.
func initialResponseOf(body []byte) (mechanism string, data []byte, err error) {
	const absent = 1<<32 - 1
	name, rest, found := bytes.Cut(body, []byte{0})
	if !found || len(rest) < 4 {
		return "", nil, badStartup("the client sent a malformed SASLInitialResponse")
	}
	size, data := binary.BigEndian.Uint32(rest), rest[4:]
	if size != uint32(len(data)) && (size != absent || len(data) > 0) {
		return "", nil, badStartup("the client sent a malformed SASLInitialResponse")
	}
	return string(name), data, nil
}

// initialResponse returns the body of a SASLInitialResponse.
func initialResponse(mechanism string, data []byte) []byte {
	body := append([]byte(mechanism), 0)
	body = binary.BigEndian.AppendUint32(body, uint32(len(data)))
	return append(body, data...)
}

// encodeMessage returns a whole message with a type byte.
func encodeMessage(kind byte, body []byte) []byte {
	m := make([]byte, 0, messageHeader+len(body))
	m = append(m, kind)
	m = binary.BigEndian.AppendUint32(m, uint32(4+len(body)))
	return append(m, body...)
}
