package tlsorigin

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
)

// TestTwoVerifiedAtOnce: of two connections that are verified at one moment, one is used, and the other is closed.
func TestTwoVerifiedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.put("10.0.0.1", late(2*stagger, w.good)) // so that the other one begins
		var both sync.WaitGroup
		both.Add(2)
		w.attempt = func(a Attempt) {
			if a.Err == nil {
				both.Done()
				both.Wait()
			}
		}
		w.dial()
		w.checkClosed()
	})
}

// TestVerifiedWhenTheCallerLeaves: a connection that is verified when the caller leaves is returned or closed.
func TestVerifiedWhenTheCallerLeaves(t *testing.T) {
	for range 20 { // either may come first
		synctest.Test(t, func(t *testing.T) {
			w := twoMachines(t)
			w.put("10.0.0.1", peertest.PipeTo(w.good))
			ctx, leave := context.WithCancel(t.Context())
			w.attempt = func(Attempt) { leave() }
			conn, err := w.Dial(ctx, nil)
			switch {
			case err == nil:
				conn.Close()
			case !errors.Is(err, context.Canceled):
				t.Error(err)
			}
			w.checkClosed()
		})
	}
}
