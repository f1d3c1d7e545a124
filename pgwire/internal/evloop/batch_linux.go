package evloop

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchTimeout is how long less than a batch may wait, once at the end of a stream at most.
const batchTimeout = 250 * time.Microsecond

// batch is how a socket waits for a batch of a stream. The kernel wakes the loop for that many bytes, for the
// end or for an error (SO_RCVLOWAT). The loop finds less by its clock. Servers send a large result in records
// of 4 or 8 KiB, and waking up for each costs more than to decrypt and send it.
type batch struct {
	on       bool
	listed   bool      // in loop.batches
	timedOut bool      // the clock has found less than a batch
	due      time.Time // when the clock looks
}

// AwaitBatch has the loop wait until s can be read for that many bytes, or has ended, or batchTimeout is over.
// It is called again after each read that brought something. It does nothing where the kernel has no wait of
// less than a millisecond.
func (p *Pair) AwaitBatch(s *Socket, bytes int) {
	l := p.loop
	if !l.precise {
		return
	}
	if !s.batch.on {
		if !s.setLowWater(bytes) {
			return
		}
		s.batch.on = true
		if !s.batch.listed {
			s.batch.listed = true
			l.batches = append(l.batches, waiting{p, s})
		}
	}
	s.batch.timedOut, s.batch.due = false, time.Now().Add(batchTimeout)
}

// AwaitAny ends AwaitBatch: any byte wakes the loop again, and what has come by now is looked at.
func (p *Pair) AwaitAny(s *Socket) {
	if s.batch.on {
		s.batch.on, s.batch.timedOut, s.Readable = false, false, true
		s.setLowWater(1)
	}
}

// BatchTimedOut reports whether the clock has ended a wait for a batch.
func (s *Socket) BatchTimedOut() bool { return s.batch.timedOut }

// waiting is a socket that waits for a batch.
type waiting struct {
	pair   *Pair
	socket *Socket
}

// overdue makes the pairs ready that have waited for a batch long enough. It returns how long the loop may wait
// for the next one; a negative time means that none waits.
func (l *loop) overdue() time.Duration {
	if len(l.batches) == 0 {
		return -1
	}
	now, next := time.Now(), batchTimeout
	left := l.batches[:0]
	for _, w := range l.batches {
		if w.socket.batch.listed = w.socket.batch.on; !w.socket.batch.on {
			continue
		}
		left = append(left, w)
		if wait := w.socket.batch.due.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		w.socket.Readable, w.socket.batch.timedOut = true, true
		w.socket.batch.due = now.Add(batchTimeout)
		l.enqueue(w.pair)
	}
	clear(l.batches[len(left):])
	l.batches = left
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
