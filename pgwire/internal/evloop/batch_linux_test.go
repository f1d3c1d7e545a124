package evloop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel calls a socket readable for a lot, and the clock finds less.
func TestLot(t *testing.T) {
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
		t.Errorf("the loop looks again after %v without a lot", wait)
	}

	const size = 24 << 10
	p.AwaitLot(s, size)
	lowWater(size)
	s.Readable = false
	if _, err := peer.Write([]byte("less")); err != nil {
		t.Fatal(err)
	}
	if wait := l.overdue(); wait < 0 || wait > lotPause {
		t.Errorf("the loop looks again after %v, want at most %v", wait, lotPause)
	}
	s.lot.due = time.Now().Add(-time.Second)
	if l.overdue(); !s.Readable || !s.LotIsLate() || len(l.ready) != 1 {
		t.Errorf("readable %t, late %t, %d pairs ready, when the time is over", s.Readable, s.LotIsLate(), len(l.ready))
	}

	p.AwaitLot(s, size) // after a read that brought something
	if s.LotIsLate() {
		t.Error("late from the start")
	}
	s.Readable = false
	p.AwaitAny(s)
	lowWater(1)
	if !s.Readable {
		t.Error("what came meanwhile is not looked at")
	}
	if wait := l.overdue(); wait >= 0 || len(l.lots) > 0 {
		t.Errorf("the loop looks again after %v, %d lots, although nobody waits", wait, len(l.lots))
	}
}

// A pair that leaves its loop is not looked at any more.
func TestLotOfAPairThatIsOver(t *testing.T) {
	l, err := newLoop(new(Group), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	s, _ := socketPair(t)
	p := &Pair{loop: l}
	p.AwaitLot(s, 1<<10)
	s.lot.on, s.lot.due = false, time.Time{} // as loop.remove does
	if wait := l.overdue(); wait >= 0 || len(l.ready) > 0 {
		t.Errorf("the loop looks again after %v, and %d pairs are ready", wait, len(l.ready))
	}
}
