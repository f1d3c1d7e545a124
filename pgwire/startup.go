package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

const (
	// minStartupPacket is a length word and a code.
	minStartupPacket = 8
	// maxStartupPacket is the longest packet that PostgreSQL takes. Its MAX_STARTUP_PACKET_LENGTH of 10000
	// does not count the length word.
	maxStartupPacket = 4 + 10000
	// A cancel key is a process ID of four bytes and a secret. The secret has four bytes up to protocol 3.0,
	// and at most 256 since 3.2.
	minCancelKey, maxCancelKey = 4 + 4, 4 + 256
)

// Codes in the place of the version of a StartupMessage; manual, "Message Formats".
const (
	codeCancelRequest = 1234<<16 | 5678
	codeSSLRequest    = 1234<<16 | 5679
	codeGSSENCRequest = 1234<<16 | 5680
	majorVersion      = 3
)

// tlsHandshake is the first byte of a ClientHello. No startup packet is so long that it begins with it.
const tlsHandshake = 0x16

// startupPacket is one packet of the startup phase, which has no type byte.
type startupPacket struct {
	raw  []byte // the whole packet as received, length word included
	code uint32
}

// cancelKey returns what identifies a session in a CancelRequest: process ID and secret.
func (p startupPacket) cancelKey() string { return string(p.raw[minStartupPacket:]) }

// negotiation is how far a client and the server have agreed on encryption.
type negotiation struct {
	offersTLS      bool
	sawSSL, sawGSS bool
	refused        bool // the client asked for encryption and got 'N'
	secured        bool // it got TLS
}

// negotiate returns the StartupMessage or CancelRequest of a client. Like PostgreSQL, it accepts one
// SSLRequest and one GSSENCRequest before that, in any order. It answers each with 'N', and SSLRequest with 'S'
// if there is startTLS, which puts rw inside TLS. startTLS is given what has been read of a ClientHello that came
// in place of an SSLRequest. refused reports whether the client got 'N', and nothing better.
func negotiate(
	rw io.ReadWriter, startTLS func(ahead []byte) error,
) (packet startupPacket, refused bool, err error) {
	n := negotiation{offersTLS: startTLS != nil}
	for first := true; ; first = false {
		head, err := n.readHead(rw)
		if err != nil {
			return packet, n.refused, err
		}
		if first && head[0] == tlsHandshake && n.offersTLS {
			n.secured = true
			if err := startTLS(head[:]); err != nil {
				return packet, false, err
			}
			continue
		}
		if packet, err = n.readBody(rw, head); err != nil {
			return packet, n.refused, err
		}
		switch packet.code {
		case codeSSLRequest:
			err = n.answerSSLRequest(rw, packet, startTLS)
		case codeGSSENCRequest:
			err = n.refuse(rw, packet, "GSSENCRequest", &n.sawGSS)
		case codeCancelRequest:
			if n := len(packet.raw) - minStartupPacket; n < minCancelKey || n > maxCancelKey {
				err = clientProtocol("CancelRequest has a key of %d bytes", n-4)
			}
			return packet, n.refused, err
		default:
			return packet, n.refused, checkStartupMessage(packet)
		}
		if err != nil {
			return packet, n.refused, err
		}
	}
}

// readError describes an error of reading. got of at least want bytes of a packet have come. A client that sent
// none of them may have left because it was refused encryption.
func (n *negotiation) readError(got, want int, err error) error {
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case ended && got > 0:
		return &Error{
			Kind: ReasonClientProtocol, Err: err,
			Text: fmt.Sprintf("the client's startup packet ends after %d of at least %d bytes", got, want),
		}
	case n.refused && n.sawSSL:
		return &Error{
			Kind: ReasonClientGone, Case: CaseWantsTLS, Err: err,
			Text: "the client left when its request for TLS was refused",
		}
	case n.refused:
		return &Error{
			Kind: ReasonClientGone, Err: err,
			Text: "the client left when its request for GSSAPI encryption was refused",
		}
	}
	return clientGone(err)
}

// answerSSLRequest begins TLS if there is startTLS. Nothing of rw has been read ahead, so whatever the client
// sent behind its request is a part of the handshake: nobody can put plaintext there that counts as encrypted.
func (n *negotiation) answerSSLRequest(
	rw io.ReadWriter, packet startupPacket, startTLS func(ahead []byte) error,
) error {
	const name = "SSLRequest"
	if !n.offersTLS {
		return n.refuse(rw, packet, name, &n.sawSSL)
	}
	if err := n.answer(rw, packet, name, &n.sawSSL, 'S'); err != nil {
		return err
	}
	n.secured, n.refused = true, false
	return startTLS(nil)
}

// refuse answers the first request of a kind with 'N'.
func (n *negotiation) refuse(w io.Writer, packet startupPacket, name string, seen *bool) error {
	err := n.answer(w, packet, name, seen, 'N')
	n.refused = n.refused || err == nil
	return err
}

// answer answers the first request of a kind. There is none inside TLS.
func (n *negotiation) answer(w io.Writer, packet startupPacket, name string, seen *bool, with byte) error {
	switch size := len(packet.raw) - minStartupPacket; {
	case size != 0:
		return badStartup("%s has a body of %d bytes", name, size)
	case *seen:
		return badStartup("a second %s came in place of a startup packet", name)
	case n.secured:
		return badStartup("%s came inside TLS, in place of a startup packet", name)
	}
	*seen = true
	if _, err := w.Write([]byte{with}); err != nil {
		return clientGone(fmt.Errorf("answer %s: %w", name, err))
	}
	return nil
}

// readHead reads the length word of a packet.
func (n *negotiation) readHead(r io.Reader) (head [4]byte, err error) {
	if got, err := io.ReadFull(r, head[:]); err != nil {
		return head, n.readError(got, len(head), err)
	}
	return head, nil
}

// readBody reads the packet that begins with head, and not a byte more: what follows stays in the connection.
// It checks the length before it allocates.
func (n *negotiation) readBody(r io.Reader, head [4]byte) (startupPacket, error) {
	length := binary.BigEndian.Uint32(head[:])
	if length < minStartupPacket || length > maxStartupPacket {
		return startupPacket{}, n.notStartup(head)
	}
	raw := make([]byte, length)
	copy(raw, head[:])
	if got, err := io.ReadFull(r, raw[len(head):]); err != nil {
		return startupPacket{}, n.readError(len(head)+got, int(length), err)
	}
	return startupPacket{raw: raw, code: binary.BigEndian.Uint32(raw[4:])}, nil
}

// notStartup says what four bytes look like that are no packet length.
func (n *negotiation) notStartup(head [4]byte) error {
	switch {
	case head[0] == tlsHandshake && head[1] == 3 && n.offersTLS:
		return clientProtocol("the client sent a TLS ClientHello, which may only come first or after SSLRequest")
	case head[0] == tlsHandshake && head[1] == 3:
		return &Error{
			Kind: ReasonClientProtocol, Case: CaseClientHello,
			Text: "the client sent a TLS ClientHello, but this listener has no TLS for clients",
		}
	case isHTTP(head):
		return &Error{
			Kind: ReasonClientProtocol, Case: CaseHTTPRequest,
			Text: "the client sent an HTTP request, but this listener speaks Postgres: " +
				"the health endpoints have an address of their own",
		}
	default:
		return clientProtocol("the client sent no Postgres startup packet: impossible length %d",
			binary.BigEndian.Uint32(head[:]))
	}
}

func isHTTP(head [4]byte) bool {
	for _, method := range []string{"GET ", "HEAD", "POST", "PUT ", "DELE", "OPTI", "CONN", "PATC", "PRI "} {
		if string(head[:]) == method {
			return true
		}
	}
	return false
}

// checkStartupMessage refuses what no upstream of protocol 3 would take. Everything else passes, so that
// future versions and options work: the upstream decides.
func checkStartupMessage(p startupPacket) error {
	if major := p.code >> 16; major != majorVersion {
		return badStartup("unsupported frontend protocol %d.%d: pgorigin relays protocol 3",
			major, p.code&0xffff)
	}
	body := p.raw[minStartupPacket:]
	for len(body) > 0 && body[0] != 0 {
		name, rest, ok := bytes.Cut(body, []byte{0})
		if !ok {
			return badStartup("invalid startup packet layout: parameter name has no end")
		}
		if _, body, ok = bytes.Cut(rest, []byte{0}); !ok {
			return badStartup("invalid startup packet layout: parameter %q has no value",
				sanitize(string(name)))
		}
	}
	if len(body) != 1 {
		return badStartup("invalid startup packet layout: expected terminator as last byte")
	}
	return nil
}

// parameter returns a parameter of a StartupMessage, or "" if it is not there. As in PostgreSQL, the last one
// counts.
func (p startupPacket) parameter(name string) (value string) {
	fields := strings.Split(string(p.raw[minStartupPacket:]), "\x00")
	for k := 0; k+1 < len(fields) && fields[k] != ""; k += 2 {
		if fields[k] == name {
			value = fields[k+1]
		}
	}
	return value
}

// describe notes the parameters that may be logged.
func (i *SessionInfo) describe(p startupPacket) {
	i.User = sanitize(p.parameter("user"))
	i.Database = sanitize(p.parameter("database"))
	i.ApplicationName = sanitize(p.parameter("application_name"))
	if i.Database == "" {
		i.Database = i.User // as PostgreSQL does
	}
}

// maxLoggedName is NAMEDATALEN: PostgreSQL has no longer names.
const maxLoggedName = 64

// sanitize makes a name that a peer sent fit for a log line or a message.
func sanitize(s string) string { return sanitizeText(s, maxLoggedName) }

// sanitizeText makes the first most bytes of a peer's text valid UTF-8 on one line. Characters that cannot be
// printed are replaced, also those that change the direction of text.
func sanitizeText(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
