package tlsorigin

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// counted counts how many connections of a rig are open, and the most that were.
type counted struct {
	net.Conn
	open *atomic.Int32
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// Behind one address every second machine has hung. It collects what arrives within the grace and no more,
// and its neighbour goes on as if nothing were wrong.
func TestHungMachineCollectsFewConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("CA", tlstest.P256)
		var open atomic.Int32
		var number atomic.Int32
		d := newTestDialer(t, ca, func(c *Config) {
			c.PostQuantum = PostQuantumOff
			c.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				script := peertest.PipeServer(ca)
				if number.Add(1)%2 == 0 {
					script = peertest.Answers("S")
				}
				conn, err := peertest.PipeTo(script)(ctx, network, addr)
				open.Add(1)
				return &counted{Conn: conn, open: &open}, err
			}
		}, "db.test:5432")
		defer d.Close()
		var dials sync.WaitGroup
		var slow, failed atomic.Int32
		most := int32(0)
		for range 20 * 60 { // 60 a second
			dials.Go(func() {
				began := time.Now()
				conn, err := d.Dial(t.Context(), nil)
				var failure *Error
				switch {
				case err == nil:
					conn.Close()
					if time.Since(began) > 0 {
						slow.Add(1)
					}
				case errors.As(err, &failure) && failure.Kind == ReasonTLSTimeout:
					failed.Add(1)
				default:
					t.Errorf("Dial: %v", err)
				}
			})
			time.Sleep(time.Second / 60)
			most = max(most, open.Load())
		}
		dials.Wait()
		if most > 3*30+2 {
			t.Errorf("%d connections were open at one time", most)
		}
		t.Logf("at most %d open", most)
		if slow.Load() > 0 || failed.Load() != 600 {
			t.Errorf("%d of the healthy waited, %d dials failed", slow.Load(), failed.Load())
		}
		if len(d.waiters.byAddr) > 0 {
			t.Errorf("attempts are left: %v", d.waiters.byAddr)
		}
		time.Sleep(time.Minute) // the last peers see that they are alone
	})
}

// A server that is slow to answer, but does, is waited for, however many wait with it.
func TestSlowServerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("CA", tlstest.P256)
		busy := make(chan struct{}, 1)
		d := newTestDialer(t, ca, func(c *Config) {
			c.PostQuantum = PostQuantumOff
			c.NetDial = peertest.PipeTo(func(conn net.Conn) {
				busy <- struct{}{}
				time.Sleep(time.Second / 16) // for each, one at a time
				<-busy
				peertest.PipeServer(ca)(conn)
			})
		}, "db.test:5432")
		defer d.Close()
		var dials sync.WaitGroup
		for range 2 * maxSilent {
			dials.Go(func() {
				conn, err := d.Dial(t.Context(), nil)
				if err != nil {
					t.Errorf("Dial: %v", err)
					return
				}
				conn.Close()
			})
			time.Sleep(10 * time.Millisecond)
		}
		dials.Wait()
	})
}

// A burst reaches a server in portions: the next hellos wait until some are answered, or helloGrace has
// passed.
func TestHellosArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("CA", tlstest.P256)
		var hellos atomic.Int32
		d := newTestDialer(t, ca, func(c *Config) {
			c.Timeout, c.PostQuantum = 4*time.Second, PostQuantumOff
			c.NetDial = peertest.PipeTo(func(conn net.Conn) {
				peertest.Answer(conn, "S")
				if n, _ := conn.Read(make([]byte, 1)); n == 1 {
					hellos.Add(1)
				}
			})
		}, "db.test:5432")
		defer d.Close()
		var dials sync.WaitGroup
		for range 5 * maxHellos {
			dials.Go(func() {
				if conn, err := d.Dial(t.Context(), nil); err == nil {
					conn.Close()
					t.Error("Dial succeeded")
				}
			})
		}
		for portion := range 4 {
			synctest.Wait()
			if n := hellos.Load(); n != int32(portion+1)*maxHellos {
				t.Errorf("%d hellos in portion %d", n, portion)
			}
			time.Sleep(helloGrace)
		}
		dials.Wait()
		time.Sleep(time.Minute) // the last peers see that they are alone
	})
}
