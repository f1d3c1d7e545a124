package tlsorigin

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
)

// TestBusyAddressKeepsItsPreference: a server that answers one after the other is slow for each, and healthy.
func TestBusyAddressKeepsItsPreference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		turn := make(chan struct{}, 1)
		w.put("10.0.0.1", peertest.PipeTo(func(conn net.Conn) {
			turn <- struct{}{}
			time.Sleep(200 * time.Millisecond) // in the bubble's time
			<-turn
			w.good(conn)
		}))
		var dials sync.WaitGroup
		for range 10 {
			dials.Go(func() {
				if got, took := w.dial(); got != "10.0.0.1" || took > 2*time.Second {
					t.Errorf("got %s after %v", got, took)
				}
			})
		}
		dials.Wait()
		if dialled, changes := w.take(); strings.Contains(dialled, "10.0.0.2") || changes != "10.0.0.1 good" {
			t.Errorf("dialled %s, changes %s", dialled, changes)
		}
		w.checkClosed()
	})
}

// TestBytesAtATime: an address that answers a byte at a time does not keep the others off for ever.
func TestBytesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := twoMachines(t)
		w.put("10.0.0.1", peertest.PipeTo(func(conn net.Conn) {
			if !peertest.Answer(conn, "S") {
				return
			}
			peertest.ReadHello(conn)
			for i := range peertest.ServerHello11 {
				time.Sleep(200 * time.Millisecond)
				if _, err := io.WriteString(conn, peertest.ServerHello11[i:i+1]); err != nil {
					return
				}
			}
		}))
		if got, took := w.dial(); got != "10.0.0.2" || took < silentGrace-stagger || took > silentGrace+stagger {
			t.Errorf("got %s after %v", got, took)
		}
		w.checkClosed()
	})
}
