package evloop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel calls a socket readable for a batch, and the clock finds less.
func TestBatch(t *testing.T) {
	l, err := newLoop(new(Group), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if !l.precise {
		t.Fatal("this kernel has no epoll_pwait2: nothing here is tested")
	}
	s, peer := socketPair(t)
	p := &Pair{loop: l}
	lowWater := func(want int) {
		t.Helper()
		got, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		if err != nil || got != want {
			t.Errorf("SO_RCVLOWAT is %d (%v), want %d", got, err, want)
		}
	}
	if wait := l.overdue(); wait >= 0 {
		t.Errorf("the loop looks again after %v without a batch", wait)
	}

	const size = 24 << 10
	p.AwaitBatch(s, size)
	lowWater(size)
	s.Readable = false
	if _, err := peer.Write([]byte("less")); err != nil {
		t.Fatal(err)
	}
	if wait := l.overdue(); wait < 0 || wait > batchTimeout {
		t.Errorf("the loop looks again after %v, want at most %v", wait, batchTimeout)
	}
	s.batch.due = time.Now().Add(-time.Second)
	if l.overdue(); !s.Readable || !s.BatchTimedOut() || len(l.ready) != 1 {
		t.Errorf("readable %t, timed out %t, %d pairs ready, when the time is over", s.Readable, s.BatchTimedOut(), len(l.ready))
	}

	p.AwaitBatch(s, size) // after a read that brought something
	if s.BatchTimedOut() {
		t.Error("timed out from the start")
	}
	s.Readable = false
	p.AwaitAny(s)
	lowWater(1)
	if !s.Readable {
		t.Error("what came meanwhile is not looked at")
	}
	if wait := l.overdue(); wait >= 0 || len(l.batches) > 0 {
		t.Errorf("the loop looks again after %v, %d batches, although nobody waits", wait, len(l.batches))
	}
}

// A pair that leaves its loop is not looked at any more.
func TestBatchOfAPairThatIsOver(t *testing.T) {
	l, err := newLoop(new(Group), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	s, _ := socketPair(t)
	p := &Pair{loop: l}
	p.AwaitBatch(s, 1<<10)
	s.batch.on, s.batch.due = false, time.Time{} // as loop.remove does
	if wait := l.overdue(); wait >= 0 || len(l.ready) > 0 {
		t.Errorf("the loop looks again after %v, and %d pairs are ready", wait, len(l.ready))
	}
}
