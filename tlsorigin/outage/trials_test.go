package outage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// A connection from before the outage says nothing about the upstream. A server that stops may still serve
// it.
func TestAnswerOnAnEarlierConnection(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		conn, place, err := r.Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		r.set(refused)
		r.client(t.Context(), 0)
		r.pass(time.Second)
		r.close(conn)
		place.Answered()
		if r.pass(time.Second); r.back > 0 || r.Waiting() != 1 {
			t.Errorf("%d outages ended, %d wait", r.back, r.Waiting())
		}
	})
}

// The end of a session ends its trial, and the next client gets one.
func TestLeavingInATrial(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		ctx, leave := context.WithCancel(t.Context())
		r.client(ctx, 0)
		r.pass(10 * time.Millisecond)
		r.client(t.Context(), 1)
		r.pass(time.Second)
		r.set(mute)
		r.pass(250 * time.Millisecond)
		if n := r.Waiting(); n != 1 {
			t.Fatalf("%d wait", n)
		}
		leave()
		r.set(fine)
		if r.pass(250 * time.Millisecond); len(r.served) != 1 {
			t.Error("the second client still waits")
		}
	})
}

// A client that leaves at the moment at which it gets a connection holds nobody up.
func TestLeavingWithAConnection(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		ctx, leave := context.WithCancel(t.Context())
		r.clients.Go(func() {
			_, _, err := r.Dial(ctx, func(wait func()) {
				wait()
				leave()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
		r.pass(time.Second)
		r.set(starting)
		r.pass(250 * time.Millisecond)
		r.set(fine)
		r.client(t.Context(), 1)
		if r.pass(250 * time.Millisecond); len(r.served) != 1 {
			t.Error("the second client waits for the first")
		}
	})
}

// A dial that is not stuck goes on although waiting does not help the others.
func TestFreshDialOutlivesTheOutage(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.client(t.Context(), 100)
		r.pass(10 * time.Millisecond)
		r.set(dropped)
		r.client(t.Context(), 0)
		r.pass(900 * time.Millisecond)
		r.set(fine)
		r.slow(600 * time.Millisecond)
		r.client(t.Context(), 1)
		r.pass(time.Millisecond)
		r.set(distrust)
		r.slow(time.Millisecond)
		r.pass(500 * time.Millisecond)
		r.set(fine)
		r.pass(500 * time.Millisecond)
		if r.failed[0] == nil || len(r.served) != 2 {
			t.Errorf("failures %v, served %v", r.failed, r.served)
		}
	})
}

// A dial that was stuck for long fails. Others have been answered meanwhile, so nothing is wrong any more.
func TestStuckDialBeginsNoOutage(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(dropped)
		r.client(t.Context(), 0)
		r.pass(500 * time.Millisecond)
		r.set(fine)
		r.arrive(1, 30, 500*time.Millisecond)
		r.expectServed(31)
		if r.outage != nil || r.probed() > 0 || len(r.waits) > 0 {
			t.Errorf("outage %v, %d probes, %d waits", r.outage, r.probed(), len(r.waits))
		}
	})
}

// The process may have been too busy to read. So a doubt is looked at twice.
func TestAnswerInDoubt(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.client(t.Context(), 1)
		r.pass(10 * time.Millisecond)
		r.slow(suspectAfter + recheck/2)
		r.client(t.Context(), 0)
		r.pass(suspectAfter + recheck/4)
		if r.outage != nil {
			t.Error("a dial without an answer for a second is an outage")
		}
		r.pass(recheck)
		r.expectServed(2)
	})
}

// What fails above the network does not become better by another connection.
func TestEndForAReasonThatStays(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		conn, place, err := r.Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.close(conn)
		why := &tlsorigin.Error{Kind: tlsorigin.ReasonClientCertRejected, Addr: "db"}
		if _, err := place.Ended(t.Context(), why); !errors.Is(err, why) || r.dials != 1 {
			t.Errorf("got %v after %d dials", err, r.dials)
		}
	})
}

// Over a long distance, those who have waited are soon served.
func TestManyReturnOverALongDistance(t *testing.T) {
	inBubble(t, time.Minute, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.arrive(0, 1000, time.Millisecond)
		r.slow(300 * time.Millisecond)
		r.set(fine)
		r.pass(5 * time.Second)
		r.expectServed(1000)
	})
}

// Of a name with many addresses, so many are probed. A client has just dialled, so the first probes wait.
func TestBoundsOfProbes(t *testing.T) {
	var all []string
	for i := range maxAddresses + 4 {
		all = append(all, string(rune('a'+i)))
	}
	inBubble(t, patience, all, func(t *testing.T, r *rig) {
		r.set(dropped)
		began := time.Now().Add(suspectAtFirst + recheck)
		r.arrive(0, 10, 400*time.Millisecond)
		if n := len(r.probes); n != maxAddresses {
			t.Errorf("%d addresses are probed", n)
		}
		for a, times := range r.probes {
			if after := times[0].Sub(began); after < pace || after > pace+jitter {
				t.Errorf("%s: the first probe came %v after the outage began", a, after)
			}
		}
		r.expectPace()
	})
}

// The reason of an outage is that of the first address in the list: a standby that starts is no news.
func TestReasonOfTheFirstAddress(t *testing.T) {
	inBubble(t, patience, []string{"a", "b"}, func(t *testing.T, r *rig) {
		r.set(refused, "a")
		r.set(starting, "b")
		r.arrive(0, 2, 100*time.Millisecond)
		r.pass(3 * time.Second)
		_, why, away := r.Away()
		var failure *tlsorigin.Error
		if !away || !errors.As(why, &failure) || failure.Addr != "a" {
			t.Errorf("away %v, because of %v", away, why)
		}
	})
}
