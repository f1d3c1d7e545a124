package pgwire

import (
	"bytes"
	"encoding/binary"
)

const (
	messageHeader = 5 // type byte and length word
	// maxLoginMessage bounds a message before ReadyForQuery, from either side: the largest token that
	// PostgreSQL takes. Messages are held until they are whole.
	maxLoginMessage = 64 << 10
	// maxLoginText bounds an ErrorResponse or NoticeResponse, which may repeat what a trigger says.
	maxLoginText = 256 << 10
	// maxSASLMessage bounds a message of SASL: a handful of names, or a challenge. PostgreSQL's own have at
	// most 1 KiB.
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

// loginMessages cuts what an upstream sends during login into whole messages, on any chunking of the stream.
// It allocates for what has come, never for a declared length.
type loginMessages struct {
	held []byte
	read int // bytes of held that next has returned
}

// add appends what has come. What next returned before is of no use any more.
func (m *loginMessages) add(p []byte) {
	if m.read > 0 {
		m.held = append(m.held[:0], m.held[m.read:]...)
		m.read = 0
	}
	m.held = append(m.held, p...)
}

// next returns the next message, if it is complete. An error is for what no login has.
func (m *loginMessages) next() (message []byte, complete bool, err error) {
	rest := m.rest()
	if len(rest) == 0 {
		return nil, false, nil
	}
	most := int64(maxLoginMessage)
	switch kind := rest[0]; kind {
	case typeErrorResponse, typeNotice:
		most = maxLoginText
	case typeAuthentication, typeBackendKeyData, typeNegotiateVersion, typeNotification, typeParameterStatus, typeReadyForQuery:
	default:
		return nil, false, upstreamProtocol("the upstream sent a message of type %q during login; is it a Postgres server?", string(rune(kind)))
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

// rest returns what is behind the messages that next has returned.
func (m *loginMessages) rest() []byte { return m.held[m.read:] }

// sqlStateOf returns the SQLSTATE of an ErrorResponse's body, or "" if there is none.
func sqlStateOf(body []byte) string {
	if state := errorField(body, 'C'); len(state) == 5 {
		return sanitize(state)
	}
	return ""
}

// errorField returns a field of an ErrorResponse's body, as it was sent, or "" if there is none.
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
