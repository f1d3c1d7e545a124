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

// startupPacket is one packet of the startup phase, which has no type byte.
type startupPacket struct {
	raw  []byte // the whole packet as received, length word included
	code uint32
}

// cancelKey returns what identifies a session in a CancelRequest: process ID and secret.
func (p startupPacket) cancelKey() string { return string(p.raw[minStartupPacket:]) }

// negotiate returns the StartupMessage or CancelRequest of a client. Like PostgreSQL, it accepts one
// SSLRequest and one GSSENCRequest before that, in any order, and answers each with 'N'. refused reports
// whether it did.
func negotiate(rw io.ReadWriter) (packet startupPacket, refused bool, err error) {
	var sawSSL, sawGSS bool
	for {
		if packet, err = readPacket(rw, refused); err != nil {
			return packet, refused, err
		}
		switch packet.code {
		case codeSSLRequest:
			err = refuseEncryption(rw, packet, "SSLRequest", &sawSSL)
		case codeGSSENCRequest:
			err = refuseEncryption(rw, packet, "GSSENCRequest", &sawGSS)
		case codeCancelRequest:
			if n := len(packet.raw) - minStartupPacket; n < minCancelKey || n > maxCancelKey {
				err = clientProtocol("CancelRequest has a key of %d bytes", n-4)
			}
			return packet, refused, err
		default:
			return packet, refused, checkStartupMessage(packet)
		}
		if err != nil {
			return packet, refused, err
		}
		refused = true
	}
}

// startupError describes an error of reading. got of at least want bytes of a packet have come. A client that
// sent none of them may have left because it was refused encryption.
func startupError(refused bool, got, want int, err error) error {
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case ended && got > 0:
		return &Error{
			Kind: ReasonClientProtocol, Err: err,
			Text: fmt.Sprintf("the client's startup packet ends after %d of at least %d bytes", got, want),
		}
	case refused:
		return &Error{
			Kind: ReasonClientGone, Case: CaseWantsTLS, Err: err,
			Text: "the client left when its request for TLS was refused",
		}
	}
	return clientGone(err)
}

// refuseEncryption answers the first request of a kind with 'N'.
func refuseEncryption(w io.Writer, packet startupPacket, name string, seen *bool) error {
	if n := len(packet.raw) - minStartupPacket; n != 0 {
		return badStartup("%s has a body of %d bytes", name, n)
	}
	if *seen {
		return badStartup("a second %s came in place of a startup packet", name)
	}
	*seen = true
	if _, err := w.Write([]byte{'N'}); err != nil {
		return clientGone(fmt.Errorf("answer %s: %w", name, err))
	}
	return nil
}

// readPacket reads one packet and not a byte more: what follows stays in the connection. It checks the length
// before it allocates. refused is for its error.
func readPacket(r io.Reader, refused bool) (startupPacket, error) {
	var head [4]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		return startupPacket{}, startupError(refused, n, len(head), err)
	}
	length := binary.BigEndian.Uint32(head[:])
	if length < minStartupPacket || length > maxStartupPacket {
		return startupPacket{}, notStartup(head)
	}
	raw := make([]byte, length)
	copy(raw, head[:])
	if n, err := io.ReadFull(r, raw[len(head):]); err != nil {
		return startupPacket{}, startupError(refused, len(head)+n, int(length), err)
	}
	return startupPacket{raw: raw, code: binary.BigEndian.Uint32(raw[4:])}, nil
}

// notStartup says what four bytes look like that are no packet length.
func notStartup(head [4]byte) error {
	switch {
	case head[0] == 0x16 && head[1] == 3:
		return clientProtocol("the client sent a TLS ClientHello, but this listener is plaintext: " +
			"set sslmode=disable and no sslnegotiation=direct in the client")
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
