package spares

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
)

func TestSparesAreHandedOutAndRefilled(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(2)
		if n, _ := r.dialled(); n != 2 {
			t.Fatalf("%d dials, want 2", n)
		}
		first := r.takeOne()
		if _, ok := first.(*Spare); !ok {
			t.Fatalf("Dial returned a %T", first)
		}
		peertest.CheckEcho(t, first)
		r.expectReady(2) // at once, not with the next tick
		r.expectUses(1, 0, 0)
		r.expectEnds("", 0)
		if _, most := r.dialled(); most != 3 {
			t.Errorf("%d connections were open, want 2 besides the one in use", most)
		}
	})
}

func TestNoSparesAtAll(t *testing.T) {
	inSpareBubble(t, 0, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.pass(time.Minute)
		if n, _ := r.dialled(); n != 0 {
			t.Errorf("%d dials", n)
		}
		if _, ok := r.takeOne().(*tlsorigin.Conn); !ok {
			t.Error("Dial returned something else than Dialer.Dial")
		}
		r.expectReady(0)
		r.expectUses(0, 0, 0) // nothing was missed that was not wanted
	})
}

func TestYoungestSpareFirst(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(2)
		r.pass(5 * time.Second)
		r.takeOne() // leaves one of five seconds, and a new one
		r.expectReady(2)
		spare, ok := r.takeOne().(*Spare)
		if !ok || time.Since(spare.born) > time.Second {
			t.Errorf("got %+v, want the one that was made last", spare)
		}
	})
}

func TestBurstBeyondSpares(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(2)
		for range 5 {
			peertest.CheckEcho(t, r.takeOne())
		}
		var hits, misses int
		r.do(func() { hits, misses = r.uses[Hit], r.uses[Miss] })
		if hits < 2 || hits+misses != 5 {
			t.Errorf("%d hits and %d misses", hits, misses)
		}
		r.expectReady(2)
	})
}

func TestDeadSparesAreSweptWithinASecond(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.pass(1500 * time.Millisecond)
		r.do(func() { r.sick = func(time.Duration) error { return errSick } })
		r.pass(time.Second)
		r.expectReady(0)
		r.expectEnds(EndDead, 2)
		if limit := r.limit(); limit != maxAge/2 {
			t.Errorf("the limit is %v: one event should halve it once", limit)
		}
		r.do(func() { r.sick = func(time.Duration) error { return nil } })
		r.pass(3 * time.Second)
		r.expectReady(2)
	})
}

func TestDeadSparesAreFoundWhenTheyAreWanted(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(2)
		r.do(func() { r.sick = func(time.Duration) error { return errSick } })
		if _, ok := r.takeOne().(*tlsorigin.Conn); !ok {
			t.Error("a dead spare was handed out")
		}
		r.expectUses(0, 1, 0)
		r.expectEnds(EndDead, 2)
	})
}

func TestFailedDialDropsAll(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(2)
		r.do(func() { r.refused = true })
		r.takeOne() // the refill fails
		r.expectReady(0)
		r.expectEnds(EndUnhealthy, 1)
		if _, err := r.Dial(t.Context()); err == nil {
			t.Error("Dial succeeded")
		}
		if pauses := r.pausedFor(); len(pauses) != 1 {
			t.Errorf("pauses %v: the client's failure came within the first", pauses)
		}
	})
}

// A dial that was on its way when another failed is as doubtful as the spares that were ready.
func TestFailureDropsWhatIsBeingMade(t *testing.T) {
	inSpareBubble(t, 1, nil, func(t *testing.T, r *spareRig) {
		r.answered = make(chan struct{})
		r.Start()
		r.pass(time.Second)
		r.noteDead() // as Dead of a spare that was handed out before
		synctest.Wait()
		close(r.answered)
		r.expectReady(0)
		r.expectEnds("", 0)
		if n, _ := r.dialled(); n != 0 {
			t.Error("the dial went on")
		}
		r.pass(3 * time.Second)
		r.expectReady(1)
	})
}

// While the upstream is away nobody makes spares, and once it is back there are as many as before, made one at a
// time at first.
func TestSuspendedPool(t *testing.T) {
	inSpareBubble(t, 3, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(3)
		r.Suspend()
		r.expectReady(0)
		r.expectEnds(EndUnhealthy, 3)
		r.pass(time.Minute)
		if n, _ := r.dialled(); n != 3 {
			t.Errorf("%d dials", n)
		}
		r.do(func() { r.refused = true })
		_, _ = r.Dial(t.Context()) // begins a pause, which does not outlast the outage
		r.do(func() { r.refused = false })
		r.Resume()
		r.expectReady(3)
	})
}

func TestADudIsReplaced(t *testing.T) {
	inSpareBubble(t, 3, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(3)
		r.takeOne()
		r.expectReady(3)
		spare := r.takeOne().(*Spare)
		fresh, err := r.replace(t.Context(), spare)
		if err != nil {
			t.Fatal(err)
		}
		defer fresh.Close()
		peertest.CheckEcho(t, fresh)
		r.expectUses(2, 0, 1)
		r.expectReady(0)
		if n := r.ended(EndUnhealthy); n < 2 {
			t.Errorf("%d spares were discarded, want the two others at least", n)
		}
		r.pass(3 * time.Second)
		r.expectReady(3)
	})
}

// An upstream that has no room gets that of the other spares before it is asked again, if they end in time.
func TestDeadWaitsForTheOthersToEnd(t *testing.T) {
	for name, row := range map[string]struct {
		linger, waits time.Duration
		beside        int
	}{
		"in time": {tlsorigin.CloseGrace / 2, tlsorigin.CloseGrace / 2, 1},
		"late":    {time.Minute, tlsorigin.CloseGrace, 4},
	} {
		t.Run(name, func(t *testing.T) {
			inSpareBubble(t, 3, nil, func(t *testing.T, r *spareRig) {
				r.Start()
				r.expectReady(3)
				spare := r.takeOne().(*Spare)
				r.expectReady(3)
				r.do(func() { r.linger = row.linger })
				began := time.Now()
				conn, err := r.replace(t.Context(), spare)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				if took := time.Since(began); took != row.waits {
					t.Errorf("it took %v, want %v", took, row.waits)
				}
				r.do(func() {
					if r.beside != row.beside {
						t.Errorf("%d connections were open when it dialled, want %d, the dead one included", r.beside, row.beside)
					}
					r.linger = 0
				})
			})
		})
	}
}

func TestCloseEndsEverything(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(2)
		spare := r.takeOne()
		r.expectReady(2)
		r.do(func() { r.answered = make(chan struct{}) }) // never: Close interrupts
		r.takeOne()
		r.pass(2 * time.Second)
		began := time.Now()
		r.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		r.expectReady(0)
		r.expectEnds(EndClosed, 1)
		peertest.CheckEcho(t, spare) // in use, so none of Close's business
		r.do(func() {
			if r.open != 2 {
				t.Errorf("%d connections are open, want the two in use", r.open)
			}
		})
		r.pass(time.Minute)
		if n, _ := r.dialled(); n != 3 {
			t.Errorf("%d dials", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r.do(func() { r.answered = nil })
		conn, err := r.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
}
