package spares

import (
	"slices"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

func TestSparesEndByAgeApart(t *testing.T) {
	inSpareBubble(t, 4, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.pass(5 * time.Minute)
		r.expectReady(4)
		if _, most := r.dialled(); most != 4 {
			t.Errorf("%d connections were open at one time, want never more than 4", most)
		}
		ages := r.agesAt(EndAged)
		r.expectEnds(EndAged, len(ages))
		// A look each second, so up to one later than the limit.
		expectBetween(t, "age", ages, 20*time.Second, 31*time.Second)
		if n := len(ages); n < 4*300/31 || n > 4*300/20 {
			t.Errorf("%d ended in five minutes", n)
		}
		if low, high := slices.Min(ages), slices.Max(ages); high-low < 3*time.Second {
			t.Errorf("ages from %v to %v: made together, ended together", low, high)
		}
	})
}

func TestSparesLearnHowOldTheyMayBecome(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		waits := 8 * time.Second // as client_login_timeout
		r.do(func() {
			r.sick = func(age time.Duration) error {
				if age >= waits {
					return errSick
				}
				return nil
			}
		})
		r.Start()
		r.pass(2 * time.Minute)
		dead, aged := r.ended(EndDead), r.ended(EndAged)
		if dead < 2 || dead > 6 {
			t.Errorf("%d spares died before 25s had become 6.25s", dead)
		}
		r.pass(7 * time.Minute)
		if n := r.ended(EndDead); n != dead {
			t.Errorf("%d more spares died", n-dead)
		}
		expectBetween(t, "age in the end", r.agesAt(EndAged)[aged:], 5*time.Second, 8500*time.Millisecond)

		// After ten minutes it tries longer again, once in ten minutes, as the restart of a pooler must not
		// be for ever.
		r.do(func() { waits = time.Hour })
		r.pass(30 * time.Minute)
		ages := r.agesAt(EndAged)
		if last := ages[len(ages)-1]; last < 20*time.Second {
			t.Errorf("the last spare ended at the age of %v", last)
		}
		if _, most := r.dialled(); most > 2 {
			t.Errorf("%d connections were open at one time", most)
		}
	})
}

// pgbouncer says when a connection has waited too long, and its time includes the login.
func TestSparesLearnFromWhatTheyAreTold(t *testing.T) {
	inSpareBubble(t, 2, nil, func(t *testing.T, r *spareRig) {
		r.do(func() {
			r.sick = func(age time.Duration) error {
				if age >= 8*time.Second {
					return tlsorigin.ErrUnexpectedData
				}
				return nil
			}
		})
		r.Start()
		r.pass(12 * time.Second)
		if limit := r.limit(); limit < 4*time.Second || limit > 4500*time.Millisecond {
			t.Errorf("the limit is %v, want half of 8s at once", limit)
		}
		dead := r.ended(EndDead)
		r.pass(5 * time.Minute)
		if n := r.ended(EndDead); n != dead || n > 2 {
			t.Errorf("%d spares died, %d of them after the first", n, n-dead)
		}
	})
}

func TestSparesThatNeverLastCostLittle(t *testing.T) {
	inSpareBubble(t, 4, nil, func(t *testing.T, r *spareRig) {
		r.do(func() { r.sick = func(time.Duration) error { return errSick } })
		r.Start()
		r.pass(10 * time.Minute)
		if n, _ := r.dialled(); n > 60 {
			t.Errorf("%d dials in ten minutes", n)
		}
		if limit := r.limit(); limit != minAge {
			t.Errorf("learned a limit of %v, want the lowest there is", limit)
		}
		if wait := slices.Max(r.pausedFor()); wait < 24*time.Second || wait > 36*time.Second {
			t.Errorf("longest pause %v, want 30s and jitter", wait)
		}
	})
}

func TestRefillBacksOff(t *testing.T) {
	inSpareBubble(t, 3, nil, func(t *testing.T, r *spareRig) {
		r.do(func() { r.refused = true })
		r.Start()
		r.pass(3 * time.Minute)
		pauses := r.pausedFor()
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			expectBetween(t, "pause", pauses[i:i+1], want*800*time.Millisecond, want*1200*time.Millisecond)
		}
		if n, _ := r.dialled(); n > 3+11 { // three at the start, then one at a time
			t.Errorf("%d dials in three minutes", n)
		}
		r.expectReady(0)

		r.do(func() { r.refused = false })
		r.pass(38 * time.Second)
		r.expectReady(3)
	})
}
