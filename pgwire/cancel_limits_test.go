package pgwire

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// cancelRig is a rig with room for floods. Cancels hang until they are released.
type cancelRig struct {
	*rig
	open, most atomic.Int32 // upstream connections of cancel requests
	release    chan struct{}
	forwarded  atomic.Int32
}

func newCancelRig(t *testing.T) *cancelRig {
	r := &cancelRig{rig: newRig(t, nil), release: make(chan struct{})}
	r.rig.ended = make(chan ended, 4096)
	r.server.Trace.Ended = func(i SessionInfo, res SessionResult) { r.rig.ended <- ended{i, res} }
	r.server.DialSession = func(ctx context.Context, _ func(func())) (Opened, error) {
		conn, err := r.dial(ctx, nil)
		return Opened{Upstream: conn}, err
	}
	r.server.Dial = func(context.Context, net.Addr) (Upstream, error) {
		near, far := halfClosablePipe()
		if n := r.open.Add(1); n > r.most.Load() {
			r.most.Store(n)
		}
		go func() {
			defer r.open.Add(-1)
			defer far.Close()
			buf := make([]byte, 300)
			if n, _ := far.Read(buf); n > 0 {
				r.forwarded.Add(1)
			}
			<-r.release
		}()
		return pgtest.NewUpstream(near), nil
	}
	return r
}

// cancel sends a cancel request and leaves, as drivers do that do not wait.
func (r *cancelRig) cancel(key string) {
	canceller := r.connect()
	canceller.Send(pgtest.CancelRequest(key))
	_ = canceller.Close()
}

func (r *cancelRig) ends() map[Reason]int {
	all := map[Reason]int{}
	for {
		select {
		case e := <-r.rig.ended:
			all[e.Reason]++
		default:
			return all
		}
	}
}

// Three hundred invented keys take four connections, sixteen places in the line, and nothing from anybody
// else.
func TestInventedKeysShareASmallBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCancelRig(t)
		_, _ = r.login("pid4key4")
		for i := range 300 {
			r.cancel(fmt.Sprintf("pid4%04d", i))
		}
		synctest.Wait()
		if n := r.most.Load(); n != maxUnknownCancels {
			t.Errorf("%d upstream connections for invented keys", n)
		}
		if all := r.ends(); all[ReasonTooManySessions] != 300-maxUnknownCancels-maxUnknownWaiting || len(all) != 1 {
			t.Errorf("ended so far: %v", all)
		}
		r.login("pid4key5")
		began := time.Now()
		r.cancel("pid4key4")
		synctest.Wait()
		if n := r.forwarded.Load(); n != maxUnknownCancels+1 || time.Since(began) > 0 {
			t.Errorf("%d cancel requests forwarded after %v, want that of a session at once", n, time.Since(began))
		}
		// A hung upstream holds them for cancelTimeout, the waiting ones included.
		time.Sleep(cancelTimeout + time.Second)
		synctest.Wait()
		if all := r.ends(); all[ReasonLoginTimeout] != maxUnknownCancels+maxUnknownWaiting+1 {
			t.Errorf("ended by timeout: %v", all)
		}
		close(r.release)
	})
}

// A client that cancels one session a thousand times has two on their way and one that waits, which is sent.
func TestRepeatedCancelIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCancelRig(t)
		r.login("pid4key4")
		r.login("pid4key5")
		for range 1000 {
			r.cancel("pid4key4")
		}
		synctest.Wait()
		if n := r.most.Load(); n != maxSessionCancels {
			t.Errorf("%d upstream connections for one session", n)
		}
		r.cancel("pid4key5")
		synctest.Wait()
		if n := r.forwarded.Load(); n != maxSessionCancels+1 {
			t.Errorf("%d forwarded, want that of the other session too", n)
		}
		close(r.release)
		synctest.Wait()
		all := r.ends()
		if all[ReasonOK] != maxSessionCancels+2 || all[ReasonTooManySessions] != 1000-maxSessionCancels-1 {
			t.Errorf("ended: %v", all)
		}
	})
}

// What a cancel request did is read off the session that it was for.
func TestCancelEffect(t *testing.T) {
	canceled := pgtest.ErrorResponse("57014", "canceling statement due to user request")
	idle := pgtest.ReadyForQuery('I')
	for name, row := range map[string]struct {
		says [][]byte // what the upstream says behind the request
		end  bool     // and whether the session then ends
		want CancelEffect
		took time.Duration
	}{
		"canceled":            {[][]byte{canceled, idle}, false, CancelCanceled, 0},
		"in pieces":           {[][]byte{canceled[:3], canceled[3:9], canceled[9:22], canceled[22:], idle}, false, CancelCanceled, 0},
		"another error first": {[][]byte{append(pgtest.ErrorResponse("22012", "division by zero"), idle...)}, false, CancelFinished, 0},
		"finished":            {[][]byte{append(pgtest.Message('C', "SELECT 1\x00"), idle...)}, false, CancelFinished, 0},
		"goes on":             {[][]byte{pgtest.Message('D', "\x00\x00")}, false, CancelNone, cancelEffectWait},
		"session ends":        {nil, true, CancelNone, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				effects := make(chan CancelEffect, 2)
				r.server.Trace.CancelEffect = func(info SessionInfo, target uint64, effect CancelEffect) {
					if info.ID != 2 || target != 1 {
						t.Errorf("cancel request of session %d, for %d", info.ID, target)
					}
					effects <- effect
				}
				client, upstream := r.login("pid4key4")
				query := pgtest.Message('Q', "select pg_sleep(9)\x00")
				client.Send(query)
				upstream.Expect(query)
				canceller := r.connect()
				canceller.Send(pgtest.CancelRequest("pid4key4"))
				request := <-r.upstreams
				<-r.targets
				request.Expect(pgtest.CancelRequest("pid4key4"))
				_ = request.Close()
				canceller.ExpectEOF()
				_ = canceller.Close()
				r.expectEnd(ReasonOK)
				began := time.Now()
				for _, said := range row.says {
					go upstream.Send(said)
					client.Expect(said)
				}
				if row.end {
					_, _ = client.Close(), upstream.Close()
				}
				if got, took := <-effects, time.Since(began); got != row.want || took != row.took {
					t.Errorf("%s after %v, want %s after %v", got, took, row.want, row.took)
				}
				time.Sleep(time.Minute)
				if len(effects) > 0 {
					t.Error("reported twice")
				}
			})
		})
	}
}
