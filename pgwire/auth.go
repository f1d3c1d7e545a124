package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

const (
	messageHeader = 5 // type byte and length word
	// maxAuthMessage bounds a backend message before ReadyForQuery. None is
	// buffered whole except the small ones below.
	maxAuthMessage = 1 << 20
	// maxSASLOffer bounds an AuthenticationSASL message: a handful of names.
	maxSASLOffer = 4 << 10
	// maxHeldError bounds an ErrorResponse that is read for its SQLSTATE; a larger one passes unread.
	maxHeldError = 16 << 10
)

// Backend message types that the auth phase looks at; manual, "Message Formats".
const (
	typeAuthentication = 'R'
	typeBackendKeyData = 'K'
	typeErrorResponse  = 'E'
	typeReadyForQuery  = 'Z'
)

// Authentication request codes.
const (
	authOK   = 0
	authSASL = 10
)

// authFilter follows backend messages from the startup packet to the first
// ReadyForQuery. What it forwards equals what it is fed, except that a SASL
// offer loses its -PLUS mechanisms. It works on any chunking of the stream and
// holds back at most one small message.
type authFilter struct {
	held []byte // start of the message that is being looked at
	want int    // bytes that held must have before it can be judged; 0 means a header
	pass int    // bytes of the present message still to be forwarded unread

	authenticated bool   // AuthenticationOk passed
	rejected      bool   // an ErrorResponse passed
	sqlState      string // of that ErrorResponse, if it could be read
	ready         bool   // ReadyForQuery passed; nothing may be fed any more
	cancelKey     string // process ID and secret of BackendKeyData
}

// atBoundary reports whether what was forwarded so far ends with a whole message.
func (f *authFilter) atBoundary() bool { return f.pass == 0 }

// feed appends to out what the client may see of p, and returns out and the
// part of p behind ReadyForQuery, which is not looked at.
func (f *authFilter) feed(out, p []byte) (forward, rest []byte, err error) {
	for len(p) > 0 && !f.ready {
		if f.pass > 0 {
			n := min(f.pass, len(p))
			out, p, f.pass = append(out, p[:n]...), p[n:], f.pass-n
			continue
		}
		want := max(f.want, messageHeader)
		n := min(want-len(f.held), len(p))
		f.held, p = append(f.held, p[:n]...), p[n:]
		if len(f.held) < want {
			break
		}
		if out, err = f.judge(out); err != nil {
			return out, nil, err
		}
	}
	return out, p, nil
}

// judge looks at held, which has as many bytes as were wanted: it either wants
// more of the message or forwards it.
func (f *authFilter) judge(out []byte) ([]byte, error) {
	size := 1 + int64(binary.BigEndian.Uint32(f.held[1:]))
	kind := f.held[0]
	if size < messageHeader || size > maxAuthMessage {
		return out, upstreamProtocol("the upstream sent a message of impossible length during login")
	}
	hold := f.hold(kind, size)
	if hold < 0 {
		return out, upstreamProtocol("the upstream sent a malformed %q message during login", string(rune(kind)))
	}
	if len(f.held) < hold {
		f.want = hold
		return out, nil
	}
	message := f.held
	if int64(len(message)) == size {
		var err error
		if message, err = f.inspect(message); err != nil {
			return out, err
		}
	} else if kind == typeErrorResponse {
		f.rejected = true
	}
	out = append(out, message...)
	f.pass = int(size) - len(f.held)
	f.held, f.want = f.held[:0], 0
	return out, nil
}

// hold returns how many bytes of a message have to be seen before any is
// forwarded, or -1 for a size that the message cannot have.
func (f *authFilter) hold(kind byte, size int64) int {
	switch kind {
	case typeAuthentication:
		const withCode = messageHeader + 4
		switch {
		case size < withCode:
			return -1
		case len(f.held) < withCode || f.authenticated || binary.BigEndian.Uint32(f.held[messageHeader:]) != authSASL:
			return withCode
		case size > maxSASLOffer:
			return -1
		}
		return int(size)
	case typeBackendKeyData:
		if n := size - messageHeader; n < minCancelKey || n > maxCancelKey {
			return messageHeader // not ours to judge, and of no use for a cancel
		}
		return int(size)
	case typeErrorResponse:
		if size > maxHeldError {
			return messageHeader
		}
		return int(size)
	case typeReadyForQuery:
		if size != messageHeader+1 {
			return -1
		}
		return int(size)
	}
	return messageHeader
}

// inspect notes what a whole message says and returns what is forwarded in its place.
func (f *authFilter) inspect(message []byte) ([]byte, error) {
	body := message[messageHeader:]
	switch message[0] {
	case typeAuthentication:
		switch binary.BigEndian.Uint32(body) {
		case authOK:
			f.authenticated = true
		case authSASL:
			if !f.authenticated {
				return strippedOffer(message)
			}
		}
	case typeBackendKeyData:
		if n := len(body); n >= minCancelKey && n <= maxCancelKey {
			f.cancelKey = string(body)
		}
	case typeErrorResponse:
		f.rejected, f.sqlState = true, sqlStateOf(body)
	case typeReadyForQuery:
		f.ready = true
	}
	return message, nil
}

// strippedOffer returns an AuthenticationSASL message without channel-binding
// mechanisms; the message itself when it has none.
func strippedOffer(message []byte) ([]byte, error) {
	const list = messageHeader + 4
	kept, err := withoutChannelBinding(message[list:])
	switch {
	case errors.Is(err, errOnlyChannelBinding):
		return nil, &Error{
			Kind: ReasonAuthChannelBinding, State: stateInvalidAuth, Err: err,
			Text: "the upstream offers no authentication but SCRAM-SHA-256-PLUS, which a client without TLS of its own cannot use",
		}
	case err != nil:
		return nil, upstreamProtocol("the upstream sent a malformed list of SASL mechanisms")
	case len(kept) == len(message)-list:
		return message, nil
	}
	out := make([]byte, 0, list+len(kept))
	out = append(out, typeAuthentication)
	out = binary.BigEndian.AppendUint32(out, uint32(list-1+len(kept)))
	out = binary.BigEndian.AppendUint32(out, authSASL)
	return append(out, kept...), nil
}

var (
	errOnlyChannelBinding = errors.New("no mechanism without channel binding")
	errMechanismList      = errors.New("malformed mechanism list")
)

// withoutChannelBinding returns a SASL mechanism list (names that end with a
// NUL each, then one more NUL) without the names that end in -PLUS. It never
// returns an empty list.
func withoutChannelBinding(list []byte) ([]byte, error) {
	if len(list) < 3 || list[0] == 0 {
		return nil, errMechanismList
	}
	kept := make([]byte, 0, len(list))
	for list[0] != 0 {
		end := bytes.IndexByte(list, 0)
		if end < 0 || end+1 == len(list) {
			return nil, errMechanismList
		}
		if !strings.HasSuffix(string(list[:end]), "-PLUS") {
			kept = append(kept, list[:end+1]...)
		}
		list = list[end+1:]
	}
	if len(list) != 1 {
		return nil, errMechanismList
	}
	if len(kept) == 0 {
		return nil, errOnlyChannelBinding
	}
	return append(kept, 0), nil
}

// sqlStateOf returns the SQLSTATE of an ErrorResponse's body, or "" if there is none.
func sqlStateOf(body []byte) string {
	for len(body) > 1 && body[0] != 0 {
		value, rest, ok := bytes.Cut(body[1:], []byte{0})
		if !ok {
			return ""
		}
		if body[0] == 'C' && len(value) == 5 {
			return sanitize(string(value))
		}
		body = rest
	}
	return ""
}
