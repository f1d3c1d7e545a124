package pgwire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
)

const (
	// maxClientMessage bounds a message that a Client reads: its own queries are small, and errors and notices are read by people.
	maxClientMessage = 16 << 10
	// maxClientMessages bounds how many may come before the one that a Client waits for.
	maxClientMessages = 100
	// maxMechanisms bounds an offer that is shown to people.
	maxMechanisms = 20
)

const typeDataRow = 'D' // another message type that a Client meets

// What may stand before the message that a Client waits for: notices and the
// answer to a protocol version; what goes with a row.
const (
	besideRequest = "Nv"
	besideRow     = "NSTCI"
)

// Client is a client of a verified upstream, for pgorigin's own diagnosis of
// logins. The connection stays with the caller, whose deadline bounds each step
// and who closes it. After an error a Client is of no use.
//
// An ErrorResponse is returned as a *ServerError, a breach of the protocol as an
// *Error; errors of the connection are wrapped.
type Client struct {
	conn    Upstream
	user    string
	request []byte // the authentication request to be answered: at least its code

	version   string
	mechanism string
	row       []byte // first of the running query
}

// ServerError is an ErrorResponse. The fields are as the server sent them, not
// sanitised.
type ServerError struct{ Severity, Code, Message string }

// Error returns the fields quoted, on one line.
func (e *ServerError) Error() string {
	return fmt.Sprintf("the server says %q (%q): %q", e.Severity, e.Code, e.Message)
}

// Greet sends a startup packet over conn, which must be verified, and reads how
// the upstream wants to be logged in to. Nothing secret is sent.
func Greet(conn Upstream, user, database, application string) (*Client, error) {
	packet := []byte{0, 0, 0, 0, 0, majorVersion, 0, 0}
	for _, text := range []string{"user", user, "database", database, "application_name", application, ""} {
		packet = append(append(packet, text...), 0)
	}
	binary.BigEndian.PutUint32(packet, uint32(len(packet)))
	if _, err := conn.Write(packet); err != nil {
		return nil, fmt.Errorf("send startup packet: %w", err)
	}
	c := &Client{conn: conn, user: user}
	return c, c.awaitRequest()
}

// Methods returns the ways in which the upstream wants to be logged in to: names
// as of [AuthMethods], but each SASL mechanism by its own.
func (c *Client) Methods() []string {
	code := binary.BigEndian.Uint32(c.request)
	switch code {
	case authOK:
		return []string{methodNone.String()}
	case authCleartext:
		return []string{methodPassword.String()}
	case authMD5:
		return []string{methodMD5.String()}
	case authGSS:
		return []string{methodGSS.String()}
	case authSSPI:
		return []string{methodSSPI.String()}
	case authSASL:
		names, _ := mechanisms(c.request[4:]) // awaitRequest saw to it
		for i := range names {
			names[i] = mechanismName(names[i])
		}
		return names
	}
	return []string{fmt.Sprintf("request %d", code)}
}

// Login logs in with a password, by the strongest method that the upstream
// offers and bound to the TLS channel if that is possible. An upstream that asks for a method that is not
// allowed, where zero is any, gets no answer.
func (c *Client) Login(ctx context.Context, password string, allowed AuthMethods) error {
	machine := loginMachine{binding: BridgeChannelBinding, allowed: allowed, state: loginBegun}
	answers := answerer{user: c.user, password: password, upstream: c.conn, salted: new(scram.Cache)}
	message := encodeMessage(typeAuthentication, c.request)
	for range maxClientMessages {
		_, turn, err := machine.upstreamSays(message)
		if err != nil {
			return err
		}
		body := message[messageHeader:]
		switch {
		case machine.state == loginReady:
			c.mechanism = machine.mechanism
			return nil
		case machine.state == loginRefused:
			return serverError(body)
		case turn == clientsTurn:
			return &Error{
				Kind: ReasonAuthRejected, State: stateInvalidAuth,
				Text: "the upstream asks for " + strings.Join(c.Methods(), ", ") + ", which pgorigin cannot answer with a password",
			}
		case turn == bridgesTurn:
			if err := c.respond(ctx, &machine, &answers, message); err != nil {
				return err
			}
		case message[0] == typeParameterStatus:
			c.noteParameter(body)
		}
		kind, body, err := c.read()
		if err != nil {
			return err
		}
		message = encodeMessage(kind, body)
	}
	return upstreamProtocol("the upstream sent too many messages")
}

// respond answers one request of a login.
func (c *Client) respond(ctx context.Context, machine *loginMachine, answers *answerer, request []byte) error {
	answer, err := answers.answer(ctx, request, machine.offer)
	if err != nil || answer == nil {
		return err
	}
	if err := machine.clientSays(answer); err != nil {
		return err
	}
	return c.write(answer)
}

// ServerVersion returns the version that the server reported at login, as it was sent.
func (c *Client) ServerVersion() string { return c.version }

// Mechanism returns the SASL mechanism that logged in, "" if it was another method.
func (c *Client) Mechanism() string { return c.mechanism }

// Query runs a simple query and returns the first column of its first row, ""
// for NULL and for no row.
func (c *Client) Query(sql string) (string, error) {
	c.row = nil
	if err := c.send(typeQuery, append([]byte(sql), 0)); err != nil {
		return "", err
	}
	if _, err := c.await(typeReadyForQuery, besideRow+string(typeDataRow)); err != nil {
		return "", err
	}
	const head = 2 + 4 // number of columns, size of the first
	if len(c.row) < head {
		return "", nil
	}
	size := int32(binary.BigEndian.Uint32(c.row[2:]))
	if size < 0 || int(size) > len(c.row)-head {
		return "", nil
	}
	return string(c.row[head:][:size]), nil
}

// Terminate says goodbye. An upstream that is gone already is no concern.
func (c *Client) Terminate() { _ = c.send(typeTerminate, nil) }

func (c *Client) send(kind byte, body []byte) error { return c.write(encodeMessage(kind, body)) }

func (c *Client) write(message []byte) error {
	if _, err := c.conn.Write(message); err != nil {
		return fmt.Errorf("send %q message: %w", string(rune(message[0])), err)
	}
	return nil
}

// awaitRequest reads up to the next authentication request, which AuthenticationOk is, too.
func (c *Client) awaitRequest() error {
	body, err := c.await(typeAuthentication, besideRequest)
	if err != nil {
		return err
	}
	malformed := len(body) < 4
	if !malformed && binary.BigEndian.Uint32(body) == authSASL {
		names, err := mechanisms(body[4:])
		malformed = err != nil || len(names) > maxMechanisms
	}
	if malformed {
		return upstreamProtocol("the upstream sent a malformed authentication request")
	}
	c.request = body
	return nil
}

// await reads messages up to the first of a kind, whose body it returns. Only
// those of other kinds may stand before it.
func (c *Client) await(kind byte, others string) ([]byte, error) {
	for range maxClientMessages {
		got, body, err := c.read()
		switch {
		case err != nil:
			return nil, err
		case got == kind:
			return body, nil
		case got == typeErrorResponse:
			return nil, serverError(body)
		case strings.IndexByte(others, got) < 0:
			return nil, upstreamProtocol("the upstream sent a message of type %q in place of %q; is it a Postgres server?", got, kind)
		case got == typeDataRow && c.row == nil:
			c.row = body
		case got == typeParameterStatus:
			c.noteParameter(body)
		}
	}
	return nil, upstreamProtocol("the upstream sent too many messages")
}

func (c *Client) noteParameter(body []byte) {
	if version, ok := strings.CutPrefix(string(body), "server_version\x00"); ok {
		c.version = strings.TrimSuffix(version, "\x00")
	}
}

func serverError(body []byte) *ServerError {
	return &ServerError{errorField(body, 'S'), errorField(body, 'C'), errorField(body, 'M')}
}

// read reads one message.
func (c *Client) read() (kind byte, body []byte, err error) {
	var head [messageHeader]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read message: %w", err)
	}
	size := int64(binary.BigEndian.Uint32(head[1:])) - 4
	if size < 0 || size > maxClientMessage {
		return 0, nil, upstreamProtocol("the upstream sent a message of impossible length; is it a Postgres server?")
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		return 0, nil, fmt.Errorf("read message: %w", err)
	}
	return head[0], body, nil
}

// mechanismName is a name as RFC 4422 allows it, with a question mark in place of anything else.
func mechanismName(name string) string {
	const most = 40
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '?'
	}, name[:min(len(name), most)])
}
