package tlsorigin

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// CloseGrace is the longest that Conn.Close waits for room in the peer's window for a close_notify.
const CloseGrace = 250 * time.Millisecond

// wire is the connection under tls.Conn. It begins after 'S'.
type wire struct {
	net.Conn
	received atomic.Int64 // bytes since 'S', or since TCP in direct TLS
	first    func()       // called once, when the first bytes have arrived; may be nil
	bounds   recordBounds
	permit   *permit // of the handshake; nil after it
	waiter   *waiter // likewise
	polling
	instant bool // reads do not wait; only the reader knows

	liveness *liveness   // nil means that the peer is not watched
	watched  atomic.Bool // the next check of liveness includes this connection
	writing  atomic.Bool // a Write is under way that may wait
	lost     atomic.Bool // liveness has ended it
	finished bool        // close_notify was written, and the end of the TCP stream is to follow

	mu     sync.Mutex // also held while Conn is replaced
	closed bool
	debt   ackDebt
	last   time.Time // no write may wait longer; zero until the connection is closing
}

func (w *wire) Read(p []byte) (int, error) {
	switch {
	case w.on:
		return w.handOver(p)
	case w.instant:
		return 0, syscall.EAGAIN // a temporary net.Error, as in handOver
	}
	if w.permit != nil {
		return w.readInHandshake(p)
	}
	return w.read(p)
}

func (w *wire) read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.bounds.passed(p[:n])
	if before := w.received.Add(int64(n)) - int64(n); before == 0 && n > 0 && w.first != nil {
		w.first()
	}
	return n, err
}

// readInHandshake waits for the peer without a permit. It acquires one before TLS computes with what has
// come.
func (w *wire) readInHandshake(p []byte) (int, error) {
	if !w.permit.held || peek(w.Conn, make([]byte, 1)) == 0 {
		w.permit.release()
		w.waiter.startWait()
		defer w.waiter.stopWait()
	}
	n, err := w.read(p)
	if n > 0 && err == nil {
		w.waiter.stopWait()
		w.waiter.answered()
		err = w.permit.acquire()
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	if w.on {
		return w.keep(p)
	}
	w.writing.Store(true)
	w.announce()
	defer w.announce()
	defer w.writing.Store(false)
	if err := w.flushBlocking(); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// Close closes the connection. It waits while liveness checks it.
func (w *wire) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	return w.Conn.Close()
}

// setCarrier puts carrier in the place of Conn.
func (w *wire) setCarrier(carrier net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Conn = carrier
}

// finish ends the TCP stream, unless something is left to be sent before.
func (w *wire) finish() error {
	carrier, ok := w.Conn.(interface{ CloseWrite() error })
	if !ok || !w.finished || w.unsent != nil {
		return nil
	}
	w.finished = false // once
	defer w.announce()
	return carrier.CloseWrite()
}

// closing limits every write, running or to come, to CloseGrace. A write that waits in CloseWrite holds the
// lock that Close needs for its close_notify.
func (w *wire) closing() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.IsZero() {
		w.last = time.Now().Add(CloseGrace)
		_ = w.Conn.SetWriteDeadline(w.last)
	}
}

// SetWriteDeadline does nothing. tls.Conn calls it to give close_notify five seconds and to make later writes
// fail, which they do anyway. Only the user of a Conn sets deadlines.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) setDeadline(t time.Time) error {
	if err := w.Conn.SetReadDeadline(t); err != nil {
		return err
	}
	return w.setWriteDeadline(t)
}

func (w *wire) setWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last.IsZero() && (t.IsZero() || t.After(w.last)) {
		t = w.last
	}
	return w.Conn.SetWriteDeadline(t)
}
