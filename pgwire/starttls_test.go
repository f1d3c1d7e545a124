package pgwire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestNegotiateTLS plays what may come before and inside TLS, of which the script knows no more than where it begins.
func TestNegotiateTLS(t *testing.T) {
	startup, ssl, gss := pgtest.Startup("user", "app"), pgtest.SSLRequest(), pgtest.GSSENCRequest()
	cancel, hello := pgtest.CancelRequest("pid4key4"), []byte("\x16\x03\x01\x02")
	failure := errors.New("no handshake")
	tests := map[string]struct {
		in      []byte
		answer  string
		ahead   string // what startTLS was given; "-" if it was not called
		fails   error
		packet  []byte
		refused bool
		errText string
	}{
		"no TLS wanted":           {in: startup, ahead: "-", packet: startup},
		"SSLRequest":              {in: join(ssl, startup), answer: "S", packet: startup},
		"GSS first":               {in: join(gss, ssl, startup), answer: "NS", packet: startup},
		"GSS alone":               {in: join(gss, startup), answer: "N", ahead: "-", packet: startup, refused: true},
		"cancel inside":           {in: join(ssl, cancel), answer: "S", packet: cancel},
		"cancel in plaintext":     {in: cancel, ahead: "-", packet: cancel},
		"direct":                  {in: join(hello, startup), ahead: string(hello), packet: startup},
		"direct cancel":           {in: join(hello, cancel), ahead: string(hello), packet: cancel},
		"handshake fails":         {in: join(ssl, startup), answer: "S", fails: failure, errText: "no handshake"},
		"direct handshake fails":  {in: join(hello, startup), ahead: string(hello), fails: failure, errText: "no handshake"},
		"SSLRequest inside":       {in: join(ssl, ssl, startup), answer: "S", errText: "second SSLRequest"},
		"SSLRequest after direct": {in: join(hello, ssl), ahead: string(hello), errText: "inside TLS"},
		"GSS inside":              {in: join(ssl, gss, startup), answer: "S", errText: "inside TLS"},
		"a ClientHello inside":    {in: join(ssl, hello), answer: "S", errText: "may only come first"},
		"a ClientHello after N":   {in: join(gss, hello), answer: "N", ahead: "-", errText: "may only come first", refused: true},
		"it leaves after N":       {in: gss, answer: "N", ahead: "-", errText: "GSSAPI", refused: true},
		"HTTP inside":             {in: join(ssl, []byte("GET / HTTP/1.1\r\n\r\n")), answer: "S", errText: "HTTP request"},
		"SSLRequest with a body":  {in: withLength(join(ssl, []byte("x"))), ahead: "-", errText: "body of 1"},
		"it leaves inside":        {in: ssl, answer: "S", errText: "the client closed the connection"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rw, calls, ahead := &readWriter{Reader: bytes.NewReader(tt.in)}, 0, ""
			packet, refused, err := negotiate(rw, func(read []byte) error {
				calls++
				ahead = string(read)
				return tt.fails
			})
			if calls == 0 {
				ahead = "-"
			}
			if rw.String() != tt.answer || ahead != tt.ahead || calls > 1 || refused != tt.refused {
				t.Errorf("answered %q, began TLS %d times behind %q, refused %v", rw.String(), calls, ahead, refused)
			}
			var failure *Error
			if errors.As(err, &failure) && (failure.Case == CaseClientHello || failure.Case == CaseWantsTLS) {
				t.Errorf("%v has the cure that this listener should have TLS", err) // which it has
			}
			switch {
			case tt.errText != "" && (err == nil || !strings.Contains(err.Error(), tt.errText)):
				t.Errorf("%v does not say %q", err, tt.errText)
			case tt.errText == "" && (err != nil || !bytes.Equal(packet.raw, tt.packet)):
				t.Errorf("%q, %v", packet.raw, err)
			}
		})
	}
}

// TestHandshakeError: what a client sends in a handshake may come back in the text of an error.
func TestHandshakeError(t *testing.T) {
	long := errors.New("tls: client requested \x1b[31m\n" + strings.Repeat("x", 70000))
	for _, err := range []error{long, io.EOF, io.ErrUnexpectedEOF} {
		told := handshakeError(err)
		failure, ok := AsFailure(told)
		if !ok || failure.SQLState() != "" || len(told.Error()) > 250 || strings.ContainsAny(told.Error(), "\x1b\n") {
			t.Errorf("%.300q", told)
		}
	}
}
