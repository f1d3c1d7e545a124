package tlsorigin

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// A peer that vanishes while nothing is under way is found by keep-alive probes, half a minute after its last
// packet.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 3 * time.Second
	keepAliveCount    = 5
)

const (
	// silenceLimit is how long a peer may acknowledge nothing of what it was sent.
	silenceLimit = 30 * time.Second
	// lookPeriod is how often connections are looked at on which something is unacknowledged.
	lookPeriod = 2 * time.Second
)

// liveness ends connections whose peer acknowledges nothing any more. TCP sends no keep-alive probes while
// something is unacknowledged or waits for room in the peer's window, and alone it gives up after a quarter
// of an hour. A peer that answers lives, however long its window stays shut.
//
// Only connections that were written to since the last look, or that still wait for an acknowledgement, are
// looked at.
type liveness struct {
	limit, period time.Duration

	mu    sync.Mutex
	wires []*wire // a timer runs while there are any
}

func newLiveness() *liveness { return &liveness{limit: silenceLimit, period: lookPeriod} }

// watch has w looked at before long.
func (l *liveness) watch(wires ...*wire) {
	if len(wires) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wires) == 0 {
		time.AfterFunc(l.period, l.look)
	}
	l.wires = append(l.wires, wires...)
}

// look ends what is dead and keeps what still waits for an acknowledgement.
func (l *liveness) look() {
	l.mu.Lock()
	wires := l.wires
	l.wires = nil
	l.mu.Unlock()
	waiting := wires[:0]
	for _, w := range wires {
		w.watched.Store(false) // first: what is written from now on is announced anew
		if w.awaitsAck(time.Now(), l.limit) && !w.watched.Swap(true) {
			waiting = append(waiting, w)
		}
	}
	l.watch(waiting...)
}

// vitals is what is known about the far end of a connection.
type vitals struct {
	unacknowledged bool          // bytes are on their way, or wait for room in the peer's window
	lastAck        time.Duration // how long ago the last acknowledgement came
	unanswered     int           // repetitions and window probes since then
}

// ackDebt tells how long a peer has owed an acknowledgement.
type ackDebt struct{ since time.Time } // zero: it owes none

// dead judges a peer by its vitals. One packet may be lost; the peer is asked twice.
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

// announce has w looked at, since something was written or is about to be.
func (w *wire) announce() {
	if w.liveness != nil && !w.watched.Load() && !w.watched.Swap(true) {
		w.liveness.watch(w)
	}
}

// awaitsAck reports whether the peer still owes an acknowledgement, and ends the connection if it owes it for
// too long.
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
		w.lost.Store(true) // before the reader learns of the end
		shutDown(carrier)
		return false
	}
	return v.unacknowledged || w.writing.Load()
}

// descriptor returns the way to conn's descriptor, or nil if there is none.
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
