package pgwire

import (
	"context"
	"net"
	"sync"
	"time"
)

// leg is one of a session's two connections and the only owner of its
// deadlines. Anyone may interrupt it; only the session closes it.
type leg struct {
	net.Conn
	detach func() bool // stops watching the context

	mu          sync.Mutex
	interrupted bool // reads and writes fail until farewell
	leaving     bool // farewell was said: its deadline is the last word
}

// newLeg returns a leg that is interrupted when ctx ends.
func newLeg(ctx context.Context, conn net.Conn) *leg {
	l := &leg{Conn: conn}
	l.watch(ctx)
	return l
}

// watch makes the end of ctx interrupt the leg.
func (l *leg) watch(ctx context.Context) { l.detach = context.AfterFunc(ctx, l.interrupt) }

// release ends the watch, so that somebody else may own the connection. It
// returns false if the interrupt came first.
func (l *leg) release() bool { return l.detach() }

// interrupt makes present and future reads and writes fail. The descriptor stays open.
func (l *leg) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.leaving {
		l.interrupted = true
		_ = l.SetDeadline(time.Unix(1, 0)) // long ago
	}
}

// stopReads makes a read that waits, and those to come, fail until allowReads.
func (l *leg) stopReads() { l.setReadDeadline(time.Unix(1, 0)) }

// allowReads lets reads wait again.
func (l *leg) allowReads() { l.setReadDeadline(time.Time{}) }

// setReadDeadline never undoes an interrupt.
func (l *leg) setReadDeadline(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.interrupted && !l.leaving {
		_ = l.SetReadDeadline(t)
	}
}

// farewell lifts an interrupt for the last words, which may take d.
func (l *leg) farewell(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
	_ = l.SetDeadline(time.Now().Add(d))
}

// closeWrite passes the end of the stream on, if the connection can say that.
func (l *leg) closeWrite() {
	if c, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// close releases the connection.
func (l *leg) close() {
	l.detach()
	_ = l.Close()
}

// dismiss ends the connection so that what was written is still read: a close
// with unread input would become a reset, which may overtake it.
func (l *leg) dismiss() {
	l.closeWrite()
	var scrap [512]byte
	for {
		if _, err := l.Read(scrap[:]); err != nil {
			return
		}
	}
}
