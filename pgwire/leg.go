package pgwire

import (
	"context"
	"net"
	"sync"
	"time"
)

// leg is one of the two connections of a session, and alone sets its deadlines. Any goroutine may interrupt
// it. The session closes it. On an event loop relayConn owns the connection, which has no deadlines then: an
// interrupt reaches the loop through the context of the session.
type leg struct {
	net.Conn             // the stream of Postgres messages
	socket   net.Conn    // what carries it, and has the deadlines: Conn itself, unless the client has TLS
	secured  bool        // the stream is inside TLS that this process does for the peer
	detach   func() bool // stops watching the context

	mu          sync.Mutex
	interrupted bool // reads and writes fail until setFinalDeadline
	final       bool // setFinalDeadline was called: no other deadline counts
}

// newLeg returns a leg that is interrupted when ctx ends.
func newLeg(ctx context.Context, conn net.Conn) *leg {
	l := &leg{Conn: conn, socket: conn}
	l.watch(ctx)
	return l
}

// watch interrupts the leg when ctx ends.
func (l *leg) watch(ctx context.Context) { l.detach = context.AfterFunc(ctx, l.interrupt) }

// secure makes conn the stream, which the socket carries.
func (l *leg) secure(conn net.Conn) { l.Conn, l.secured = conn, true }

// reconnect puts conn in the place of both stream and socket. It is the same connection.
func (l *leg) reconnect(conn net.Conn) { l.Conn, l.socket = conn, conn }

// release ends the watch, so that a relayConn may own the connection. It returns false if the interrupt came
// first.
func (l *leg) release() bool { return l.detach() }

// interrupt makes present and future reads and writes fail. The connection stays open.
func (l *leg) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.final {
		l.interrupted = true
		_ = l.socket.SetDeadline(time.Unix(1, 0)) // long ago
	}
}

// stopReads makes present and future reads fail until allowReads.
func (l *leg) stopReads() { l.setReadDeadline(time.Unix(1, 0)) }

// allowReads ends stopReads.
func (l *leg) allowReads() { l.setReadDeadline(time.Time{}) }

// setReadDeadline never undoes an interrupt.
func (l *leg) setReadDeadline(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.interrupted && !l.final {
		_ = l.socket.SetReadDeadline(t)
	}
}

// setFinalDeadline lifts an interrupt, so that the session can end in order within d.
func (l *leg) setFinalDeadline(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.final = true
	_ = l.socket.SetDeadline(time.Now().Add(d))
}

// awaitInput waits until something can be read, or reading fails, if the connection can do that without a buffer.
func (l *leg) awaitInput() {
	if c, ok := l.Conn.(interface{ AwaitInput() error }); ok {
		_ = c.AwaitInput() // the error comes again
	}
}

// closeWrite ends the stream to the peer, if the connection can do that.
func (l *leg) closeWrite() {
	if c, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// close closes the connection.
func (l *leg) close() {
	l.detach()
	_ = l.Close()
}

// linger ends the stream to the peer and waits until the peer closes. A close with unread input would become
// a reset, which may overtake what was written.
func (l *leg) linger() {
	l.closeWrite()
	var scrap [512]byte
	for {
		if _, err := l.Read(scrap[:]); err != nil {
			return
		}
	}
}
