package tlsorigin

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// mute is a peer that has agreed to TLS and then says nothing, or one byte at a time.
func mute(begins string, every time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		if !peertest.Answer(conn, "S") {
			return
		}
		peertest.ReadHello(conn)
		for i := range begins {
			if _, err := conn.Write([]byte{begins[i]}); err != nil {
				return
			}
			time.Sleep(every)
		}
	}
}

// A handshake waits for its peer at nobody's cost: a hundred peers that have hung do not delay the one that
// is well.
func TestSilentPeersHoldNoTurn(t *testing.T) {
	for name, script := range map[string]func(net.Conn){
		"after S":           mute("", 0),
		"after a byte":      mute("\x16", 0),
		"a byte at a time":  mute(peertest.ServerHello11[:20], 300*time.Millisecond),
		"before the answer": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := tlstest.NewCA("CA", tlstest.P256)
				healthy := peertest.PipeTo(peertest.PipeServer(ca))
				d := newTestDialer(t, ca, func(c *Config) {
					c.PostQuantum = PostQuantumOff
					c.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
						dial := peertest.PipeTo(script)
						if strings.HasPrefix(addr, "well") {
							dial = healthy
						}
						conn, err := dial(ctx, network, addr)
						return resolvedConn{conn, fakeAddr(addr)}, err
					}
				}, "hung.test:1", "well.test:1")
				defer d.Close()
				var dials sync.WaitGroup
				for range 100 {
					dials.Go(func() {
						if conn, err := d.Dial(t.Context(), nil); err == nil { // by the second address, in the end
							conn.Close()
						}
					})
				}
				synctest.Wait()
				began := time.Now()
				conn, err := d.Dial(t.Context(), &Addr{TCP: fakeAddr("well.test:1"), Host: "well.test:1"})
				if err != nil {
					t.Fatal(err)
				}
				conn.Close()
				if took := time.Since(began); took > 0 {
					t.Errorf("the healthy upstream was reached after %v", took)
				}
				dials.Wait()
				time.Sleep(time.Minute) // the last peers see that they are alone
			})
		})
	}
}

// resolvedConn is a pipe to an address.
type resolvedConn struct {
	net.Conn
	addr net.Addr
}

func (c resolvedConn) RemoteAddr() net.Addr { return c.addr }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }

// With all turns taken, the hello goes out and the answer waits: for a turn, or for the end of its time.
func TestHandshakesTakeTurns(t *testing.T) {
	for name, freed := range map[string]bool{"a turn comes": true, "no turn comes": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := tlstest.NewCA("CA", tlstest.P256)
				d := newTestDialer(t, ca, func(c *Config) {
					c.Timeout, c.PostQuantum = 4*time.Second, PostQuantumOff
					c.NetDial = peertest.PipeTo(peertest.PipeServer(ca))
				}, "db.test:5432")
				defer d.Close()
				for range maxHandshakes {
					d.semaphore <- struct{}{}
				}
				if freed {
					time.AfterFunc(time.Second, func() { <-d.semaphore })
				}
				began := time.Now()
				conn, err := d.Dial(t.Context(), nil)
				took := time.Since(began)
				if freed {
					if err != nil || took != time.Second {
						t.Fatalf("%v after %v", err, took)
					}
					conn.Close()
				} else {
					var failure *Error
					if !errors.As(err, &failure) || failure.Kind != ReasonTLSTimeout || took != 4*time.Second ||
						!strings.Contains(failure.Text, "32 other TLS handshakes") {
						t.Errorf("%v after %v", err, took)
					}
				}
				if left := len(d.semaphore); left != maxHandshakes && !freed || freed && left != maxHandshakes-1 {
					t.Errorf("%d turns are taken afterwards", left)
				}
			})
		})
	}
}

// A caller that leaves gives its place in the line for a turn up.
func TestLeavingWhileWaitingForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("CA", tlstest.P256)
		d := newTestDialer(t, ca, func(c *Config) { c.NetDial = peertest.PipeTo(peertest.PipeServer(ca)) }, "db.test:5432")
		defer d.Close()
		for range maxHandshakes {
			d.semaphore <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := d.Dial(ctx, nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
