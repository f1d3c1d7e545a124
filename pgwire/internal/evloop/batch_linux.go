package evloop

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lotPause is how long less than a lot may wait, once at the end of a stream at most.
const lotPause = 250 * time.Microsecond

// lot is how a socket waits for a lot of a stream. The kernel wakes the loop for that many bytes, for the end
// or for an error (SO_RCVLOWAT). The loop finds less by its clock. Servers send a large result in records of
// 4 or 8 KiB, and waking up for each costs more than to decrypt and send it.
type lot struct {
	on     bool
	listed bool      // in loop.lots
	late   bool      // the clock has found less than a lot
	due    time.Time // when the clock looks
}

// AwaitLot has the loop wait until s can be read for that many bytes, or has ended, or lotPause is over. It
// is called again after each read that brought something. It does nothing where the kernel has no wait of
// less than a millisecond.
func (p *Pair) AwaitLot(s *Socket, bytes int) {
	l := p.loop
	if !l.precise {
		return
	}
	if !s.lot.on {
		if !s.setLowWater(bytes) {
			return
		}
		s.lot.on = true
		if !s.lot.listed {
			s.lot.listed = true
			l.lots = append(l.lots, waiting{p, s})
		}
	}
	s.lot.late, s.lot.due = false, time.Now().Add(lotPause)
}

// AwaitAny ends AwaitLot: any byte wakes the loop again, and what has come by now is looked at.
func (p *Pair) AwaitAny(s *Socket) {
	if s.lot.on {
		s.lot.on, s.lot.late, s.Readable = false, false, true
		s.setLowWater(1)
	}
}

// LotIsLate reports whether the clock has ended a wait for a lot.
func (s *Socket) LotIsLate() bool { return s.lot.late }

// waiting is a socket that waits for a lot.
type waiting struct {
	pair   *Pair
	socket *Socket
}

// overdue makes the pairs ready that have waited for a lot long enough. It returns how long the loop may wait
// for the next one; a negative time means that none waits.
func (l *loop) overdue() time.Duration {
	if len(l.lots) == 0 {
		return -1
	}
	now, next := time.Now(), lotPause
	left := l.lots[:0]
	for _, w := range l.lots {
		if w.socket.lot.listed = w.socket.lot.on; !w.socket.lot.on {
			continue
		}
		left = append(left, w)
		if wait := w.socket.lot.due.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		w.socket.Readable, w.socket.lot.late = true, true
		w.socket.lot.due = now.Add(lotPause)
		l.enqueue(w.pair)
	}
	clear(l.lots[len(left):])
	l.lots = left
	if len(left) == 0 {
		return -1
	}
	return next
}

// setLowWater has the kernel call the socket readable for n bytes, and reports whether it agreed.
func (s *Socket) setLowWater(n int) bool {
	least := int32(n)
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT,
		uintptr(unsafe.Pointer(&least)), unsafe.Sizeof(least), 0)
	return errno == 0
}
