package outage

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// peers is the network of a Dialer: what an address does with a TCP connection.
type peers struct {
	mu    sync.Mutex
	at    map[string]func(net.Conn) // nil refuses; an address that is not here drops
	dials atomic.Int32
}

func (p *peers) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	p.dials.Add(1)
	p.mu.Lock()
	script, there := p.at[addr]
	p.mu.Unlock()
	switch {
	case !there:
		<-ctx.Done()
		return nil, ctx.Err()
	case script == nil:
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return peertest.PipeTo(script)(ctx, network, addr)
}

func (p *peers) set(addr string, script func(net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at[addr] = script
}

func (p *peers) drop(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.at, addr)
}

// withDialer runs a test with the Line of a Dialer, whose addresses are db.test:1 and db.test:2. fine is what a
// healthy address does.
func withDialer(t *testing.T, test func(t *testing.T, l *Line, p *peers, fine func(net.Conn))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("Test Root", tlstest.P256) // here, for its dates are the bubble's
		p := &peers{at: map[string]func(net.Conn){}}
		d, err := tlsorigin.NewDialer(tlsorigin.Config{
			Addrs: []string{"db.test:1", "db.test:2"}, ServerName: peertest.Name, CAPEM: string(ca.PEM()), NetDial: p.dial,
		})
		if err != nil {
			t.Fatal(err)
		}
		l := New(d, Options{Wait: patience})
		test(t, l, p, peertest.PipeServer(ca))
		if err := errors.Join(l.Close(), d.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestLineOfADialer(t *testing.T) {
	for name, away := range map[string]func(p *peers){
		"refused": func(p *peers) { p.set("db.test:1", nil); p.set("db.test:2", nil) },
		"dropped": func(*peers) {},
		"hung": func(p *peers) {
			hangs := func(net.Conn) {} // it reads, and says nothing
			p.set("db.test:1", hangs)
			p.set("db.test:2", hangs)
		},
	} {
		t.Run(name, func(t *testing.T) {
			withDialer(t, func(t *testing.T, l *Line, p *peers, fine func(net.Conn)) {
				away(p)
				var clients sync.WaitGroup
				for range 20 {
					clients.Go(func() {
						conn, place, err := l.Dial(t.Context(), nil)
						if err != nil {
							t.Errorf("a client got %v", err)
							return
						}
						place.Answered()
						place.LoggedIn()
						peertest.CheckEcho(t, conn)
						_ = conn.Close()
					})
					time.Sleep(200 * time.Millisecond)
				}
				time.Sleep(3 * time.Second)
				t.Logf("%d dials in 7s", p.dials.Load())
				if n := p.dials.Load(); n > 2*70+20 {
					t.Errorf("%d dials in 7s", n)
				}
				began := time.Now()
				p.set("db.test:2", fine)
				clients.Wait()
				if took := time.Since(began); took > 4*time.Second || name == "refused" && took > 150*time.Millisecond {
					t.Errorf("the last client was served after %v", took)
				}
			})
		})
	}
}

// A server without TLS is the end of all waiting, unless the other address was verified before. That one refuses
// connections, or drops them.
func TestRefusedTLSBesideAnOutage(t *testing.T) {
	for _, row := range []struct{ verified, drops bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		verified := row.verified
		withDialer(t, func(t *testing.T, l *Line, p *peers, fine func(net.Conn)) {
			if verified {
				p.set("db.test:1", fine)
				conn, _, err := l.Dial(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
			}
			p.set("db.test:1", nil)
			if row.drops {
				p.drop("db.test:1")
			}
			p.set("db.test:2", nil)
			ended := make(chan error, 1)
			began, took := time.Now(), time.Duration(0)
			go func() {
				conn, _, err := l.Dial(t.Context(), nil)
				if took = time.Since(began); err == nil {
					_ = conn.Close()
				}
				ended <- err
			}()
			time.Sleep(4 * time.Second)
			p.set("db.test:2", peertest.Answers("N"))
			time.Sleep(2 * time.Second)
			p.set("db.test:1", fine)
			err := <-ended
			var failure *tlsorigin.Error
			switch {
			case verified && err != nil, verified && took < 6*time.Second:
				t.Errorf("verified before: %v after %v", err, took)
			case verified:
			case !errors.As(err, &failure) || failure.Kind != tlsorigin.ReasonTLSRefused:
				t.Errorf("never verified: %v", err)
			case took > 4500*time.Millisecond && !row.drops, took > 4500*time.Millisecond+connectTime:
				t.Errorf("never verified: it took %v", took)
			}
		})
	}
}
