package pgwire

import (
	"bytes"
	"encoding/binary"
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

// authFilter follows backend messages from the startup packet to the first
// ReadyForQuery. What it forwards equals what it is fed, except that a SASL
// offer may lose its -PLUS mechanisms, or that authentication requests are kept
// for a bridge to answer. It works on any chunking of the stream and holds back
// at most one small message.
type authFilter struct {
	binding  ChannelBinding
	requests authRequests

	held []byte // start of the message that is being looked at
	want int    // bytes that held must have before it can be judged; 0 means a header
	pass int    // bytes of the present message still to be forwarded unread

	challenge     []byte // bridge: body of the request to be answered before more is fed
	stripped      bool   // an offer lost mechanisms
	tokens        bool   // GSSAPI or SSPI: client and upstream exchange tokens that nobody else can make
	authenticated bool   // AuthenticationOk passed
	rejected      bool   // an ErrorResponse passed
	sqlState      string // of that ErrorResponse, if it could be read
	ready         bool   // ReadyForQuery passed; nothing may be fed any more
	cancelKey     string // process ID and secret of BackendKeyData
}

// atBoundary reports whether what was forwarded so far ends with a whole message.
func (f *authFilter) atBoundary() bool { return f.pass == 0 }

// feed appends to out what the client may see of p, and returns out and the
// part of p behind ReadyForQuery, which is not looked at, or behind a challenge.
func (f *authFilter) feed(out, p []byte) (forward, rest []byte, err error) {
	for len(p) > 0 && !f.ready && f.challenge == nil {
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
	if kind == typeAuthentication && !f.authenticated {
		if err := f.requests.note(binary.BigEndian.Uint32(f.held[messageHeader:])); err != nil {
			return out, err
		}
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
		case len(f.held) < withCode || f.authenticated || !f.whole(binary.BigEndian.Uint32(f.held[messageHeader:])):
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
		if f.authenticated {
			break
		}
		return f.inspectRequest(message, binary.BigEndian.Uint32(body))
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

// whole reports whether an authentication request is looked at beyond its code.
func (f *authFilter) whole(code uint32) bool {
	if f.binding == BridgeChannelBinding {
		return code == authSASL || code == authSASLContinue || code == authSASLFinal || code == authMD5
	}
	return code == authSASL
}

// inspectRequest is inspect for an authentication request.
func (f *authFilter) inspectRequest(message []byte, code uint32) ([]byte, error) {
	switch {
	case code == authOK:
		f.authenticated = true
	case code == authGSS || code == authSSPI:
		f.tokens = true
	case f.binding == BridgeChannelBinding && (f.whole(code) || code == authCleartext):
		f.challenge = bytes.Clone(message[messageHeader:])
		return nil, nil
	case code == authSASL && f.binding == StripChannelBinding:
		offer, err := strippedOffer(message)
		f.stripped = f.stripped || len(offer) < len(message)
		return offer, err
	case code == authSASL:
		if _, err := mechanisms(message[messageHeader+4:]); err != nil {
			return nil, malformedOffer()
		}
	}
	return message, nil
}

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
