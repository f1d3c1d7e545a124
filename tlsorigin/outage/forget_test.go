package outage

import (
	"context"
	"testing"
	"time"
)

// An outage whose clients have left ends by itself. Nobody knows then whether the upstream is back.
func TestOutageThatNobodyWaitsFor(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		for range 3 { // the time counts from the last one
			ctx, leave := context.WithTimeout(t.Context(), 3*time.Second)
			defer leave()
			r.client(ctx, 0)
			r.pass(20 * time.Second)
		}
		if _, _, away := r.Away(); !away || r.away != 1 || r.forgotten.Load() != 0 {
			t.Errorf("away %v; %d outages, %d forgotten", away, r.away, r.forgotten.Load())
		}
		probed := r.probed()
		r.pass(14 * time.Second)
		if _, _, away := r.Away(); away || r.forgotten.Load() != 1 || r.back != 0 || r.probed() != probed {
			t.Errorf("away %v; %d forgotten, %d back, %d probes more", away, r.forgotten.Load(), r.back, r.probed()-probed)
		}
		r.client(t.Context(), 1) // finds out by itself
		r.pass(time.Second)
		if r.away != 2 || r.Waiting() != 1 {
			t.Errorf("%d outages; %d wait", r.away, r.Waiting())
		}
		r.set(fine)
		r.pass(time.Minute)
		if r.back != 1 || r.forgotten.Load() != 1 {
			t.Errorf("%d back, %d forgotten", r.back, r.forgotten.Load())
		}
	})
}

// An outage for which clients wait is never forgotten, however long it takes.
func TestLongOutage(t *testing.T) {
	inBubble(t, time.Hour, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.client(t.Context(), 0)
		r.pass(10 * time.Minute)
		if r.Waiting() != 1 || r.forgotten.Load() != 0 {
			t.Errorf("%d wait, %d forgotten", r.Waiting(), r.forgotten.Load())
		}
	})
}

// Time in which nobody tried does not count as part of an outage.
func TestLengthOfAnOutage(t *testing.T) {
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		ctx, leave := context.WithTimeout(t.Context(), 3*time.Second)
		defer leave()
		r.client(ctx, 0)
		r.pass(4 * time.Second)
		r.set(fine)
		r.pass(20 * time.Second)
		r.client(t.Context(), 1)
		r.pass(time.Second)
		if r.back != 1 || r.lasted < 2800*time.Millisecond || r.lasted > 3*time.Second {
			t.Errorf("%d back, it lasted %v", r.back, r.lasted)
		}
	})
}

// A wrong certificate ends no wait as long as it is not sure that the other address is still away. Both come back
// at the same moment, while clients wait or after all of them have left.
func TestWrongCertificateBesideAnUpstreamThatIsBack(t *testing.T) {
	for _, wrong := range []string{"a", "b"} {
		for _, stays := range []bool{true, false} {
			// The moment decides which address is probed first.
			for after := 2 * time.Second; after < 2200*time.Millisecond; after += 5 * time.Millisecond {
				inBubble(t, patience, []string{"a", "b"}, func(t *testing.T, r *rig) {
					r.set(refused)
					ctx, leave := context.WithTimeout(t.Context(), time.Second)
					defer leave()
					r.client(ctx, 0)
					if stays {
						r.client(t.Context(), 1)
					}
					r.pass(after)
					r.set(fine)
					r.set(distrust, wrong)
					r.pass(4 * time.Second)
					r.client(t.Context(), 2)
					r.pass(time.Second)
					if len(r.failed) > 0 || r.hopelessly > 0 {
						t.Errorf("%s is wrong, stays %v: failures %v", wrong, stays, r.failed)
					}
				})
			}
		}
	}
}

// What an address showed to clients that have left ends no wait either.
func TestCertificateOfThePast(t *testing.T) {
	inBubble(t, patience, []string{"a", "b"}, func(t *testing.T, r *rig) {
		r.set(distrust, "a")
		r.set(starting, "b")
		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		r.client(ctx, 0)
		r.pass(2 * time.Second)
		r.set(dropped, "a")
		r.set(refused, "b")
		r.client(t.Context(), 1)
		r.pass(5 * time.Second)
		r.set(fine)
		r.pass(time.Second)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.failed) > 0 || len(r.served) != 1 {
			t.Errorf("failures %v", r.failed)
		}
	})
}
