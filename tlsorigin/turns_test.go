package tlsorigin

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// However many dial at once, no more than maxHandshakes hellos are unanswered at
// one time, and whoever gets no turn is told so when its time is up.
func TestHandshakesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("CA", tlstest.P256)
		var hellos atomic.Int32
		peers := new(sync.WaitGroup)
		d := newTestDialer(t, ca, func(c *Config) {
			c.Timeout, c.PostQuantum = 4*time.Second, PostQuantumOff
			c.NetDial = func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				peers.Go(func() {
					defer far.Close()
					answer(far, "S")
					if n, _ := far.Read(make([]byte, 1)); n == 1 {
						hellos.Add(1)
					}
					_, _ = io.Copy(io.Discard, far)
				})
				return near, nil
			}
		}, "db.test:5432")
		defer d.Close()
		var reasons [2]atomic.Int32
		var dials sync.WaitGroup
		for range maxHandshakes + 8 {
			dials.Go(func() {
				_, err := d.Dial(t.Context(), nil)
				var failure *Error
				if !errors.As(err, &failure) || failure.Kind != ReasonTLSTimeout {
					t.Errorf("got %v", err)
				} else if failure.Text == "was not asked in time: 32 other TLS handshakes were under way" {
					reasons[1].Add(1)
				} else {
					reasons[0].Add(1)
				}
			})
		}
		synctest.Wait()
		if n := hellos.Load(); n != maxHandshakes {
			t.Errorf("%d hellos at one time", n)
		}
		dials.Wait()
		peers.Wait()
		// A turn that is given back in the very moment in which time is up may still be taken.
		if asked, not := reasons[0].Load(), reasons[1].Load(); asked < maxHandshakes || asked+not != maxHandshakes+8 {
			t.Errorf("%d were asked, %d were not", asked, not)
		}
	})
}
