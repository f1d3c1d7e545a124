package tlsorigin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// oneSegment is what fits into a TCP segment on most paths. A classical ClientHello does, one with a hybrid
// does not.
const oneSegment = 1448

// lab is an upstream behind a middlebox, over pipes in a bubble of synctest, and a Dialer that leads there.
type lab struct {
	*Dialer
	changes  []KeyExchangeChange
	attempts []Attempt

	mu     sync.Mutex
	box    func(conn net.Conn, hello []byte) bool // reports whether it was the end of that connection
	server *tls.Config
}

func newLab(t *testing.T, change func(*Config)) *lab {
	t.Helper()
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	l := &lab{server: peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))}
	l.server.SessionTicketsDisabled = true // see peertest.PipeServer
	l.Dialer = newTestDialer(t, ca, func(c *Config) {
		c.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := peertest.PipeTo(l.serve)(ctx, network, addr)
			return &resettable{conn}, err
		}
		c.Trace = &Trace{
			Attempt:            func(a Attempt) { l.locked(func() { l.attempts = append(l.attempts, a) }) },
			KeyExchangeChanged: func(c KeyExchangeChange) { l.locked(func() { l.changes = append(l.changes, c) }) },
		}
		if change != nil {
			change(c)
		}
	}, "db.test:6432")
	t.Cleanup(func() { l.Close() })
	return l
}

func (l *lab) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// take returns and forgets what was reported.
func (l *lab) take() (attempts []Attempt, changes []KeyExchangeChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	attempts, changes = l.attempts, l.changes
	l.attempts, l.changes = nil, nil
	return attempts, changes
}

// serve answers one connection.
func (l *lab) serve(conn net.Conn) {
	l.mu.Lock()
	box := l.box
	l.mu.Unlock()
	l.serveBehind(conn, box)
}

// serveBehind answers one connection: box, unless nil, sees the hello first.
func (l *lab) serveBehind(conn net.Conn, box func(net.Conn, []byte) bool) {
	if l.Dialer.upstream[0].direct || peertest.Answer(conn, "S") {
		var header [5]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		hello := append(header[:], make([]byte, binary.BigEndian.Uint16(header[3:]))...)
		if _, err := io.ReadFull(conn, hello[5:]); err != nil {
			return
		}
		if box != nil && box(conn, hello) {
			return
		}
		l.mu.Lock()
		config := l.server
		l.mu.Unlock()
		late := &lateWriter{Conn: conn, in: io.MultiReader(bytes.NewReader(hello), conn)}
		server := tls.Server(late, config)
		if server.Handshake() == nil {
			io.Copy(server, server)
			server.Close()
		}
		late.flush()
	}
}

// lateWriter sends what was written when something is to be read: over a pipe, which buffers nothing, two
// sides that write at the same time would wait for ever.
type lateWriter struct {
	net.Conn
	in  io.Reader
	out []byte
}

func (w *lateWriter) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

func (w *lateWriter) Read(p []byte) (int, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	return w.in.Read(p)
}

func (w *lateWriter) flush() error {
	out := w.out
	w.out = nil
	if len(out) == 0 {
		return nil
	}
	_, err := w.Conn.Write(out)
	return err
}

// above makes a box that does something to hellos of more than oneSegment bytes and lets the others pass.
func above(do func(net.Conn)) func(net.Conn, []byte) bool {
	return func(conn net.Conn, hello []byte) bool {
		if len(hello) <= oneSegment {
			return false
		}
		do(conn)
		return true
	}
}

func swallow(conn net.Conn) { io.Copy(io.Discard, conn) }
func hangUp(conn net.Conn)  { conn.Close() }

// resetting is what a box writes to make a pipe end like a connection that was reset.
const resetting = "\x00reset\x00"

func sendReset(conn net.Conn) { io.WriteString(conn, resetting) }

// resettable makes a TCP reset of resetting.
type resettable struct{ net.Conn }

func (r *resettable) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if n == len(resetting) && string(p[:n]) == resetting {
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return n, err
}

// delayed makes a box that lets a large hello pass after a while.
func delayed(d time.Duration) func(net.Conn, []byte) bool {
	return func(_ net.Conn, hello []byte) bool {
		if len(hello) > oneSegment {
			time.Sleep(d) // in the bubble's time
		}
		return false
	}
}

// dialled is a connection and how long it took.
func (l *lab) dialled(t *testing.T) (tls.ConnectionState, time.Duration) {
	t.Helper()
	began := time.Now()
	conn, err := l.Dial(t.Context(), nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	defer conn.Close()
	return conn.ConnectionState(), time.Since(began)
}
