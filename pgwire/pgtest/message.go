// Package pgtest has scripted Postgres peers for tests: what real clients and
// servers cannot be made to say, byte for byte.
package pgtest

import (
	"encoding/binary"

	"github.com/jackc/pgproto3/v2"
)

// encode fails only for messages of gigabytes, which no test sends.
func encode(m pgproto3.Message) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err)
	}
	return b
}

// packet puts a length word before a startup-phase body.
func packet(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// Startup returns a StartupMessage of protocol 3.0 with parameters given as name, value, …
func Startup(params ...string) []byte { return StartupVersion(3, 0, params...) }

// StartupVersion returns a StartupMessage of any version.
func StartupVersion(major, minor uint16, params ...string) []byte {
	body := binary.BigEndian.AppendUint16(nil, major)
	body = binary.BigEndian.AppendUint16(body, minor)
	for _, p := range params {
		body = append(append(body, p...), 0)
	}
	return packet(append(body, 0))
}

// SSLRequest returns the eight bytes that ask for TLS.
func SSLRequest() []byte { return encode(&pgproto3.SSLRequest{}) }

// GSSENCRequest returns the eight bytes that ask for GSSAPI encryption.
func GSSENCRequest() []byte { return encode(&pgproto3.GSSEncRequest{}) }

// CancelRequest returns a CancelRequest for a key as in BackendKeyData: process ID and secret.
func CancelRequest(key string) []byte {
	return packet(append(binary.BigEndian.AppendUint32(nil, 80877102), key...))
}

// Message returns a message with a type byte.
func Message(kind byte, body string) []byte {
	return append([]byte{kind}, packet([]byte(body))...)
}

// AuthenticationOk ends a successful authentication.
func AuthenticationOk() []byte { return Message('R', "\x00\x00\x00\x00") }

// AuthenticationSASL offers mechanisms.
func AuthenticationSASL(mechanisms ...string) []byte {
	return encode(&pgproto3.AuthenticationSASL{AuthMechanisms: mechanisms})
}

// BackendKeyData tells the client its cancel key: process ID and secret.
func BackendKeyData(key string) []byte { return Message('K', key) }

// ParameterStatus reports one run-time parameter.
func ParameterStatus(name, value string) []byte {
	return encode(&pgproto3.ParameterStatus{Name: name, Value: value})
}

// ReadyForQuery reports a transaction status: 'I', 'T' or 'E'.
func ReadyForQuery(status byte) []byte { return Message('Z', string(status)) }

// Terminate is a client's goodbye.
func Terminate() []byte { return Message('X', "") }

// ErrorResponse is a server's FATAL refusal.
func ErrorResponse(code, message string) []byte {
	return encode(&pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: message,
	})
}

// Login is the whole answer to a startup packet, of a server without authentication.
func Login(key string) []byte {
	var b []byte
	for _, m := range [][]byte{
		AuthenticationOk(), ParameterStatus("server_version", "15.18"), BackendKeyData(key),
		ReadyForQuery('I'),
	} {
		b = append(b, m...)
	}
	return b
}
