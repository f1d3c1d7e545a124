package pgclient

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"github.com/pgorigin/pgorigin/pgwire"
)

const (
	messageHeader = 5 // type byte and length word
	// maxMessage bounds a message: the queries of this client have small answers, and errors and notices are
	// read by people.
	maxMessage = 16 << 10
	// maxMessages bounds how many messages may come before the one that the client waits for.
	maxMessages = 100
)

// Message types; PostgreSQL manual, "Message Formats".
const (
	typeAuthentication  = 'R'
	typeDataRow         = 'D'
	typeErrorResponse   = 'E'
	typeParameterStatus = 'S'
	typeReadyForQuery   = 'Z'
)

// Messages that may come before the one that the client waits for.
const (
	besideRequest = "Nv"                          // notices, and the answer to a protocol version
	besideRow     = "NSTCI" + string(typeDataRow) // what goes with a row
)

// Client is a client of a verified upstream. The connection stays with the caller, whose deadline bounds each
// step and who closes it. After an error, a Client must not be used.
//
// An ErrorResponse and a breach of the protocol are returned as the *pgwire.Error of a session that ends so;
// errors of the connection are wrapped.
type Client struct {
	conn    pgwire.Upstream
	user    string
	request []byte // the authentication request to be answered, a whole message
	methods []string

	version   string
	mechanism string
	row       []byte // first of the running query
}

// Greet sends a startup packet over conn and reads how the upstream wants to be logged in to. Nothing secret
// is sent.
func Greet(conn pgwire.Upstream, user, database, application string) (*Client, error) {
	const protocol = 3 << 16
	packet := binary.BigEndian.AppendUint32(make([]byte, 4), protocol)
	for _, text := range []string{"user", user, "database", database, "application_name", application, ""} {
		packet = append(append(packet, text...), 0)
	}
	binary.BigEndian.PutUint32(packet, uint32(len(packet)))
	if _, err := conn.Write(packet); err != nil {
		return nil, fmt.Errorf("send startup packet: %w", err)
	}
	c := &Client{conn: conn, user: user}
	var err error
	if c.request, err = c.await(typeAuthentication, besideRequest, pgwire.LoginRefusal); err != nil {
		return c, err
	}
	c.methods, err = pgwire.RequestedMethods(c.request)
	return c, err
}

// Methods returns how the upstream wants to be logged in to: names as of [pgwire.AuthMethods], but each SASL
// mechanism by its own name.
func (c *Client) Methods() []string { return c.methods }

// Login logs in with a password. allowed are the methods that the upstream may ask for; zero means any. An
// upstream that asks for another one gets no answer.
func (c *Client) Login(ctx context.Context, password string, allowed pgwire.AuthMethods) error {
	login := pgwire.NewPasswordLogin(c.conn, c.user, password, allowed)
	message := c.request
	for range maxMessages {
		answer, err := login.Next(ctx, message)
		switch {
		case err != nil:
			return err
		case login.Succeeded():
			c.mechanism = login.Mechanism()
			return nil
		case login.Refused():
			return pgwire.LoginRefusal(message)
		}
		c.noteVersion(message)
		if answer != nil {
			if err := c.write(answer); err != nil {
				return err
			}
		}
		if message, err = c.read(); err != nil {
			return login.ReadError(err)
		}
	}
	return tooMany()
}

// ServerVersion returns the version that the server reported at login, as it was sent.
func (c *Client) ServerVersion() string { return c.version }

// Mechanism returns the SASL mechanism that logged in, and "" for another method.
func (c *Client) Mechanism() string { return c.mechanism }

// Query runs a simple query and returns the first column of its first row, "" for NULL and for no row.
func (c *Client) Query(sql string) (string, error) {
	c.row = nil
	query, err := (&pgproto3.Query{String: sql}).Encode(nil)
	if err != nil {
		return "", fmt.Errorf("encode query: %w", err)
	}
	if err := c.write(query); err != nil {
		return "", err
	}
	if _, err := c.await(typeReadyForQuery, besideRow, pgwire.SessionEnd); err != nil {
		return "", err
	}
	const head = 2 + 4 // number of columns, size of the first
	if len(c.row) < head {
		return "", nil
	}
	size := int32(binary.BigEndian.Uint32(c.row[2:]))
	if size < 0 || int(size) > len(c.row)-head { // NULL, or no row that a server sends
		return "", nil
	}
	return string(c.row[head:][:size]), nil
}

// Terminate sends a Terminate message. It ignores an upstream that has gone.
func (c *Client) Terminate() { _ = c.write([]byte{'X', 0, 0, 0, 4}) }

func (c *Client) write(message []byte) error {
	if _, err := c.conn.Write(message); err != nil {
		return fmt.Errorf("send %q message: %w", string(rune(message[0])), err)
	}
	return nil
}

// await reads messages up to the first of a kind, which it returns. Only messages of the other kinds may come
// before it. said reads an ErrorResponse.
func (c *Client) await(kind byte, others string, said func(message []byte) *pgwire.Error) ([]byte, error) {
	for range maxMessages {
		message, err := c.read()
		if err != nil {
			return nil, err
		}
		switch got := message[0]; {
		case got == kind:
			return message, nil
		case got == typeErrorResponse:
			return nil, said(message)
		case strings.IndexByte(others, got) < 0:
			return nil, protocolError(fmt.Sprintf(
				"the upstream sent a message of type %q in place of %q; is it a Postgres server?", got, kind))
		case got == typeDataRow && c.row == nil:
			c.row = message[messageHeader:]
		}
		c.noteVersion(message)
	}
	return nil, tooMany()
}

// noteVersion remembers a ParameterStatus of server_version.
func (c *Client) noteVersion(message []byte) {
	if message[0] != typeParameterStatus {
		return
	}
	if version, ok := strings.CutPrefix(string(message[messageHeader:]), "server_version\x00"); ok {
		c.version = strings.TrimSuffix(version, "\x00")
	}
}

// read reads one message.
func (c *Client) read() ([]byte, error) {
	message := make([]byte, messageHeader)
	if _, err := io.ReadFull(c.conn, message); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	size := int64(binary.BigEndian.Uint32(message[1:])) - 4
	if size < 0 || size > maxMessage {
		return nil, protocolError(
			"the upstream sent a message of impossible length; is it a Postgres server?")
	}
	message = append(message, make([]byte, size)...)
	if _, err := io.ReadFull(c.conn, message[messageHeader:]); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return message, nil
}

func tooMany() error { return protocolError("the upstream sent too many messages") }

func protocolError(text string) error {
	return &pgwire.Error{Kind: pgwire.ReasonUpstreamProtocol, State: "08P01", Text: text}
}
