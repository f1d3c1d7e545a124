package pgtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgproto3/v2"
)

// Peer is one end of a connection, played step by step by a test. Each step
// fails the test if the other end does not do what it must.
type Peer struct {
	net.Conn
	tb testing.TB
}

// NewPeer plays conn, and closes it when the test ends.
func NewPeer(tb testing.TB, conn net.Conn) *Peer {
	tb.Cleanup(func() { _ = conn.Close() })
	return &Peer{Conn: conn, tb: tb}
}

// Send writes messages in one piece.
func (p *Peer) Send(messages ...[]byte) {
	p.tb.Helper()
	if _, err := p.Write(bytes.Join(messages, nil)); err != nil {
		p.tb.Fatalf("send: %v", err)
	}
}

// Expect reads exactly the wanted bytes.
func (p *Peer) Expect(want ...[]byte) {
	p.tb.Helper()
	all := bytes.Join(want, nil)
	got := make([]byte, len(all))
	n, err := io.ReadFull(p, got)
	if err != nil || !bytes.Equal(got, all) {
		p.tb.Fatalf("expect: got %q (%v), want %q", got[:n], err, all)
	}
}

// ExpectEOF reads the orderly end of the stream. A reset is not orderly.
func (p *Peer) ExpectEOF() {
	p.tb.Helper()
	if rest, err := io.ReadAll(p); err != nil || len(rest) > 0 {
		p.tb.Fatalf("expect end of stream: got %q (%v)", rest, err)
	}
}

// ExpectClosed reads until the connection is closed, in whatever way, and
// returns what came before.
func (p *Peer) ExpectClosed() []byte {
	p.tb.Helper()
	rest, err := io.ReadAll(p)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrClosedPipe) {
		p.tb.Fatalf("expect close: got %q (%v)", rest, err)
	}
	return rest
}

// ReadMessage reads one message with a type byte.
func (p *Peer) ReadMessage() (kind byte, body []byte) {
	p.tb.Helper()
	var head [5]byte
	if _, err := io.ReadFull(p, head[:]); err != nil {
		p.tb.Fatalf("read message header: %v", err)
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	if _, err := io.ReadFull(p, body); err != nil {
		p.tb.Fatalf("read body of message %q: %v", head[0], err)
	}
	return head[0], body
}

// ExpectError reads an ErrorResponse with an SQLSTATE and returns it.
func (p *Peer) ExpectError(sqlState string) pgproto3.ErrorResponse {
	p.tb.Helper()
	kind, body := p.ReadMessage()
	var e pgproto3.ErrorResponse
	if kind != 'E' {
		p.tb.Fatalf("expect ErrorResponse: got message %q with %q", kind, body)
	}
	if err := e.Decode(body); err != nil {
		p.tb.Fatalf("decode ErrorResponse: %v", err)
	}
	if e.Code != sqlState {
		p.tb.Fatalf("expect SQLSTATE %s: got %s, %q", sqlState, e.Code, e.Message)
	}
	return e
}

// CloseWrite ends the stream in one direction; the other goes on.
func (p *Peer) CloseWrite() {
	p.tb.Helper()
	c, ok := p.Conn.(interface{ CloseWrite() error })
	if !ok {
		p.tb.Fatalf("%T cannot half-close", p.Conn)
	}
	if err := c.CloseWrite(); err != nil {
		p.tb.Fatalf("half-close: %v", err)
	}
}
