package tlsorigin

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// Keep-alive probes find a peer that vanishes while nothing is under way, half a minute after its last
// packet.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 3 * time.Second
	keepAliveCount    = 5
)

const (
	// silenceLimit is how long a peer may acknowledge nothing of what it was sent.
	silenceLimit = 30 * time.Second
	// checkPeriod is the time between two checks of connections with unacknowledged data.
	checkPeriod = 2 * time.Second
)

// liveness ends connections whose peer acknowledges nothing any more. TCP sends no keep-alive probes while
// something is unacknowledged or waits for room in the peer's window. Alone it gives up after a quarter of an
// hour. A peer that answers lives, however long its window stays shut.
//
// liveness checks only connections that were written to since the last check, or that still wait for an
// acknowledgement.
type liveness struct {
	limit, period time.Duration

	mu    sync.Mutex
	wires []*wire // to check; a timer runs while there are any
}

func newLiveness() *liveness { return &liveness{limit: silenceLimit, period: checkPeriod} }

// watch adds wires to the next check.
func (l *liveness) watch(wires ...*wire) {
	if len(wires) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wires) == 0 {
		time.AfterFunc(l.period, l.check)
	}
	l.wires = append(l.wires, wires...)
}

// check ends dead connections, and keeps those that still wait for an acknowledgement for the next check.
func (l *liveness) check() {
	l.mu.Lock()
	wires := l.wires
	l.wires = nil
	l.mu.Unlock()
	waiting := wires[:0]
	for _, w := range wires {
		w.watched.Store(false) // first, so that a write from now on is announced
		if w.awaitsAck(time.Now(), l.limit) && !w.watched.Swap(true) {
			waiting = append(waiting, w)
		}
	}
	l.watch(waiting...)
}

// vitals is what the kernel knows about the far end of a connection.
type vitals struct {
	unacknowledged bool          // bytes are on their way, or wait for room in the peer's window
	lastAck        time.Duration // since the last acknowledgement
	unanswered     int           // repetitions and window probes since then
}

// ackDebt is since when a peer has owed an acknowledgement.
type ackDebt struct{ since time.Time } // zero means that it owes none

// dead reports whether a peer with these vitals is dead: it was asked twice, because one packet may be lost,
// and has been silent for limit.
func (d *ackDebt) dead(v vitals, now time.Time, limit time.Duration) bool {
	if !v.unacknowledged {
		d.since = time.Time{}
		return false
	}
	if d.since.IsZero() {
		d.since = now
	}
	return v.unanswered >= 2 && min(v.lastAck, now.Sub(d.since)) >= limit
}

// announce adds w to the next check, because something was written or is about to be.
func (w *wire) announce() {
	if w.liveness != nil && !w.watched.Load() && !w.watched.Swap(true) {
		w.liveness.watch(w)
	}
}

// awaitsAck reports whether the peer still owes an acknowledgement. If it has owed one for limit, awaitsAck
// ends the connection.
func (w *wire) awaitsAck(now time.Time, limit time.Duration) bool {
	w.mu.Lock() // the descriptor stays what it is
	defer w.mu.Unlock()
	carrier := descriptor(w.Conn)
	if w.closed || carrier == nil {
		return false
	}
	v, err := readVitals(carrier)
	switch {
	case err != nil:
		return false // closed, or no TCP
	case w.debt.dead(v, now, limit):
		w.lost.Store(true) // before the reader sees the end
		shutDown(carrier)
		return false
	}
	return v.unacknowledged || w.writing.Load()
}

// descriptor gives access to the descriptor of conn. Nil means that it has none.
func descriptor(conn net.Conn) syscall.RawConn {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
