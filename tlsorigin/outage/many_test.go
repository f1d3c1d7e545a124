package outage

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// Ten thousand clients wait, half of them leave at once, and the others are served: no event costs more than its
// own client, and a client that waits costs little memory.
func TestThousandsWait(t *testing.T) {
	const count = 10_000
	inBubble(t, patience, []string{"db"}, func(t *testing.T, r *rig) {
		r.set(refused)
		r.client(t.Context(), 0)
		r.pass(time.Second)
		ctx, leave := context.WithCancel(t.Context())
		before := inUse()
		for i := range count {
			if i%2 == 0 {
				r.client(t.Context(), i+1)
			} else {
				r.client(ctx, i+1)
			}
		}
		r.pass(time.Second)
		t.Logf("%d bytes of heap for each client, those of the test included", (inUse()-before)/count)
		if n := r.Waiting(); n != count+1 || r.dials != 1 {
			t.Errorf("%d wait, %d dials", n, r.dials)
		}
		began := time.Now()
		leave()
		r.pass(0)
		if n := r.Waiting(); n != count/2+1 || time.Since(began) > 0 {
			t.Errorf("%d wait", n)
		}
		r.set(fine)
		r.pass(time.Second)
		if len(r.served) != count/2+1 || r.most > lastWindow {
			t.Errorf("%d were served, %d dialled at one time", len(r.served), r.most)
		}
		r.expectPace()
	})
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
