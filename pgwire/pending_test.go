package pgwire

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Clients come and speak or stay silent, at the limit: only the oldest are sent away, only those that had
// their grace, and no more than are too many.
func TestPendingModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(8, 11))
		var p pending
		var silent []*session // the oldest first
		old := func(s *session) bool { return time.Since(s.info.Accepted) >= pendingGrace }
		sentAway := 0
		for step := range 10_000 {
			switch random.IntN(5) {
			case 0:
				if len(silent) > 0 {
					i := random.IntN(len(silent))
					p.remove(silent[i])
					p.remove(silent[i])
					silent = slices.Delete(silent, i, i+1)
				}
			case 1:
				time.Sleep(time.Duration(random.IntN(15)) * time.Millisecond)
			default:
				ctx, cancel := context.WithCancelCause(t.Context())
				s := &session{ctx: ctx, end: cancel, info: SessionInfo{Accepted: time.Now()}}
				p.add(s)
				for silent = append(silent, s); len(silent) > MaxPending && old(silent[0]); silent = silent[1:] {
					if silent[0].ctx.Err() == nil {
						t.Fatalf("step %d: the oldest of %d stays", step, len(silent))
					}
					sentAway++
				}
			}
			if p.clients.Len() != len(silent) || len(silent) > 0 && p.clients.Front().Value != silent[0] {
				t.Fatalf("step %d: %d are pending, want %d", step, p.clients.Len(), len(silent))
			}
			if i := slices.IndexFunc(silent, func(s *session) bool { return s.ctx.Err() != nil }); i >= 0 {
				t.Fatalf("step %d: number %d of %d was sent away", step, i, len(silent))
			}
		}
		for _, s := range silent {
			s.end(nil)
		}
		if sentAway == 0 || len(silent) < MaxPending {
			t.Errorf("%d sent away, %d left: that was not at the limit", sentAway, len(silent))
		}
	})
}
