package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
)

// Bounds of what is read before a server has said how it wants to be logged in to.
const (
	maxStartupMessage  = 16 << 10
	maxStartupMessages = 20 // notices and the like before the first that counts
	maxMechanisms      = 20
)

// Authentication request codes; manual, "Message Formats".
const (
	authOK        = 0
	authCleartext = 3
	authMD5       = 5
	authGSS       = 7
	authSSPI      = 9
	authSASL      = 10
)

// checkUser is who a check says it is unless PGUSER is set.
const checkUser = "pgorigin_check"

// serverError is an ErrorResponse of a verified server.
type serverError struct{ severity, code, message string }

func (e *serverError) Error() string {
	return fmt.Sprintf("the server says %s (%s): %s", e.severity, e.code, quote(e.message))
}

// startupFault is a failure between verification and the first authentication request.
type startupFault struct {
	reason, text string
	err          error
}

func (e *startupFault) Error() string  { return e.text }
func (e *startupFault) Unwrap() error  { return e.err }
func (e *startupFault) Reason() string { return e.reason }

// askAuthentication sends a startup packet over conn, which must be verified, and returns the first authentication
// methods that the server asks for, in the words of libpq's require_auth, SASL mechanisms by their own names. Nothing
// secret is sent. It says Terminate and leaves conn to its owner, with a deadline.
func askAuthentication(conn net.Conn, user, database string, timeout time.Duration) ([]string, error) {
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if _, err := conn.Write(startupPacket("user", user, "database", database, "application_name", "pgorigin check")); err != nil {
		return nil, startupLost(err, timeout)
	}
	methods, err := readOffer(conn, timeout)
	_, _ = conn.Write([]byte{'X', 0, 0, 0, 4}) // Terminate; an error says that the server was faster
	return methods, err
}

// startupPacket is a StartupMessage of protocol 3.0.
func startupPacket(params ...string) []byte {
	packet := []byte{0, 0, 0, 0, 0, 3, 0, 0}
	for _, text := range params {
		packet = append(append(packet, text...), 0)
	}
	packet = append(packet, 0)
	binary.BigEndian.PutUint32(packet, uint32(len(packet)))
	return packet
}

func startupLost(err error, timeout time.Duration) error {
	var timedOut net.Error
	switch reason, _ := reasonOf(err); {
	case reason != "":
		return err // of tlsorigin, with a sentence of its own
	case errors.As(err, &timedOut) && timedOut.Timeout():
		return &startupFault{"login_timeout", fmt.Sprintf("the server did not answer the startup packet within %v", timeout), err}
	}
	return &startupFault{"upstream_gone", "the server closed the connection instead of answering the startup packet", err}
}

// readOffer reads messages until the first that says how the login goes on.
func readOffer(conn io.Reader, timeout time.Duration) ([]string, error) {
	malformed := func(what string) error {
		return &startupFault{"upstream_protocol", "the server " + what, nil}
	}
	for range maxStartupMessages {
		var head [5]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return nil, startupLost(err, timeout)
		}
		size := int64(binary.BigEndian.Uint32(head[1:])) - 4
		if size < 0 || size > maxStartupMessage {
			return nil, malformed("answered the startup packet with a message of impossible length; is it a Postgres server?")
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(conn, body); err != nil {
			return nil, startupLost(err, timeout)
		}
		switch head[0] {
		case 'R':
			methods, ok := askedMethods(body)
			if !ok {
				return nil, malformed("sent a malformed authentication request")
			}
			return methods, nil
		case 'E':
			return nil, parseServerError(body)
		case 'N', 'v': // NoticeResponse, NegotiateProtocolVersion
		default:
			return nil, malformed("answered the startup packet with something unexpected; is it a Postgres server?")
		}
	}
	return nil, malformed("sent notices without end")
}

// askedMethods reads an authentication request.
func askedMethods(body []byte) ([]string, bool) {
	if len(body) < 4 {
		return nil, false
	}
	switch code := binary.BigEndian.Uint32(body); code {
	case authOK:
		return []string{"none"}, true
	case authCleartext:
		return []string{"password"}, true
	case authMD5:
		return []string{"md5"}, true
	case authGSS:
		return []string{"gss"}, true
	case authSSPI:
		return []string{"sspi"}, true
	case authSASL:
		return mechanisms(body[4:])
	default:
		return []string{fmt.Sprintf("request %d", code)}, true
	}
}

// mechanisms splits a SASL mechanism list: names that end with a NUL each, then one more NUL.
func mechanisms(list []byte) ([]string, bool) {
	body, ok := bytes.CutSuffix(list, []byte{0, 0})
	names := strings.Split(string(body), "\x00")
	if !ok || len(names) > maxMechanisms || slices.Contains(names, "") {
		return nil, false
	}
	for i := range names {
		names[i] = mechanismName(names[i])
	}
	return names, true
}

// mechanismName is a name as RFC 4422 allows it, with a question mark in place of anything else.
func mechanismName(name string) string {
	const most = 40
	name = name[:min(len(name), most)]
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '?'
	}, name)
}

// judgeOffer says what an offer means for clients of pgorigin, with the settings in force.
func (c *originChecker) judgeOffer(stage *checkStage, methods []string) {
	var free, bound []string
	required := pgwire.AuthMethods(c.origin.Auth.Require)
	for _, method := range methods {
		name := method
		if strings.HasPrefix(method, "SCRAM-SHA-256") {
			name = "scram-sha-256"
		}
		// A method that has no name cannot be in a requirement.
		if bit, err := pgwire.ParseAuthMethods(name); required != 0 && (err != nil || required&bit == 0) {
			stage.fail("auth_rejected", fmt.Sprintf("the server asks for %s, and %sAUTH_REQUIRE allows %s only", method, prefix, required))
			return
		}
		if strings.HasSuffix(method, "-PLUS") {
			bound = append(bound, method)
		} else {
			free = append(free, method)
		}
	}
	binding := c.origin.Auth.ChannelBinding.String()
	if len(free) == 0 && binding == "strip" {
		stage.fail("auth_channel_binding", "the server offers nothing but "+strings.Join(bound, ", ")+
			", which a client without TLS of its own cannot use")
		return
	}
	stage.Text = strings.Join(methods, ", ")
	switch {
	case stage.Text == "none":
		stage.Text = "none: the server lets this user in without a password"
	case len(bound) > 0:
		stage.Text += fmt.Sprintf(" (%sAUTH_CHANNEL_BINDING=%s)", prefix, binding)
	}
}

// parseServerError reads the fields of an ErrorResponse that people need.
func parseServerError(body []byte) *serverError {
	var e serverError
	for len(body) > 1 && body[0] != 0 {
		value, rest, ok := bytes.Cut(body[1:], []byte{0})
		if !ok {
			break
		}
		switch text := printable(string(value)); body[0] {
		case 'S':
			e.severity = text
		case 'C':
			e.code = text
		case 'M':
			e.message = text
		}
		body = rest
	}
	return &e
}

// noSuchAccount reports whether e only means that the made-up user or database of a check does not exist, or may not
// come in: PostgreSQL says 28000, 28P01 or 3D000, pgbouncer 08P01 for all of these.
func (e *serverError) noSuchAccount() bool {
	return strings.HasPrefix(e.code, "28") || strings.HasPrefix(e.code, "3D") || e.code == "08P01"
}
