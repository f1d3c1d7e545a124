package spares

import (
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Clients come in bursts, spares die, the upstream goes and comes back: never more connections than there may
// be, and all is as it should be when the upstream has been well for a while.
func TestSparesModel(t *testing.T) {
	const count = 4
	inSpareBubble(t, count, nil, func(t *testing.T, r *spareRig) {
		random := rand.New(rand.NewPCG(7, 11))
		r.Start()
		var used []net.Conn
		check := func(step int) {
			synctest.Wait()
			r.Pool.mu.Lock()
			mine := len(r.ready) + r.opening + r.closing
			r.Pool.mu.Unlock()
			r.do(func() {
				if mine > count || r.open > count+len(used) {
					t.Errorf("step %d: %d spares, %d connections open, %d in use", step, mine, r.open, len(used))
				}
			})
		}
		for step := range 600 {
			switch random.IntN(7) {
			case 0, 1:
				conn, err := r.Dial(t.Context())
				if err != nil {
					break
				}
				if spare, ok := conn.(*Spare); ok && random.IntN(4) == 0 { // it was dead
					_ = spare.Close()
					if conn, err = r.replace(t.Context(), spare); err != nil {
						break
					}
				} else if ok {
					spare.LoggedIn()
				}
				used = append(used, conn)
			case 2:
				if len(used) > 0 {
					_ = used[0].Close()
					used = used[1:]
				}
			case 3:
				r.do(func() { r.refused = random.IntN(3) == 0 })
			case 4:
				death := net.ErrClosed
				if random.IntN(3) > 0 {
					death = nil
				}
				r.do(func() { r.sick = func(time.Duration) error { return death } })
			case 5:
				r.Check()
			case 6:
				time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
			}
			check(step)
		}
		r.do(func() { r.refused, r.sick = false, func(time.Duration) error { return nil } })
		r.pass(2 * maxPause)
		r.expectReady(count)
		for _, conn := range used {
			_ = conn.Close()
		}
		_ = r.Close()
		synctest.Wait()
		r.do(func() {
			if r.open != 0 {
				t.Errorf("%d connections are left", r.open)
			}
		})
	})
}
