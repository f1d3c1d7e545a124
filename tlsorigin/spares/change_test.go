package spares

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestReloadDropsSpares(t *testing.T) {
	for _, row := range []struct {
		name  string
		after func(r *spareRig)
	}{
		{"when told", func(r *spareRig) { r.Check() }},
		{"within a second", func(r *spareRig) { r.pass(time.Second) }},
		{"when one is wanted", func(r *spareRig) {
			if _, ok := r.takeOne().(*tlsorigin.Conn); !ok {
				r.t.Error("a spare was handed out that had been verified before the reload")
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ca.crt")
			var before []byte
			another := tlstest.NewCA("Another Root", tlstest.P256).PEM()
			inSpareBubble(t, 2, func(c *tlsorigin.Config) {
				before = []byte(c.CAPEM)
				peertest.WriteFile(t, file, before, 0o600)
				c.CAPEM, c.CAFile = "", file
			}, func(t *testing.T, r *spareRig) {
				r.Start()
				r.expectReady(2)
				peertest.WriteFile(t, file, append(before, another...), 0o600)
				if found, err := r.dialer.Reload(t.Context()); err != nil || !found.Changed {
					t.Fatalf("reload: %+v, %v", found, err)
				}
				row.after(r)
				r.expectReady(2)
				r.expectEnds(EndDistrusted, 2)
				// Broken files change nothing.
				if err := os.WriteFile(file, []byte("no PEM"), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := r.dialer.Reload(t.Context()); err == nil {
					t.Fatal("broken files were put in force")
				}
				r.pass(time.Second)
				r.expectEnds(EndDistrusted, 2)
			})
		})
	}
}

func TestSparesFollowTheirName(t *testing.T) {
	inSpareBubble(t, 1, nil, func(t *testing.T, r *spareRig) {
		old, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.7")
		answer, failure, lookups := []netip.Addr{other, netip.MustParseAddr("::ffff:192.0.2.1")}, error(nil), 0
		r.names = names{
			hosts: map[string]string{"db.test:6432": "db.test"},
			resolve: func(_ context.Context, network, host string) ([]netip.Addr, error) {
				r.mu.Lock()
				defer r.mu.Unlock()
				if lookups++; network != "ip" || host != "db.test" {
					t.Errorf("looked up %s as %s", host, network)
				}
				return answer, failure
			},
		}
		r.Start()
		r.pass(19 * time.Second)
		r.expectEnds("", 0)
		r.do(func() {
			if lookups != 4 {
				t.Errorf("%d lookups in 19s, want one in five", lookups)
			}
		})

		r.do(func() { failure, answer = errors.New("no such host"), nil })
		r.pass(6 * time.Second) // may end by age, by nothing else
		if n := r.ended(EndMoved); n > 0 {
			t.Errorf("%d spares were discarded: a name that cannot be looked up says nothing", n)
		}

		r.do(func() {
			failure, answer = nil, []netip.Addr{other}
			r.addr = &net.TCPAddr{IP: other.AsSlice(), Port: 6432}
		})
		r.pass(6 * time.Second)
		r.expectReady(1)
		if addr := r.takeOne().RemoteAddr().String(); addr != "192.0.2.7:6432" {
			t.Errorf("a spare leads to %s, which %v has left", addr, old)
		}
	})
}

// A spare that was made while the name was looked up may lead where the answer does not know of yet.
func TestLookupSaysNothingAboutLaterSpares(t *testing.T) {
	inSpareBubble(t, 1, nil, func(t *testing.T, r *spareRig) {
		r.Start()
		r.expectReady(1)
		asked := time.Now()
		r.pass(2 * time.Second)
		r.takeOne()
		r.expectReady(1)
		r.Pool.mu.Lock()
		r.dropMoved(map[string][]netip.Addr{"db.test:6432": nil}, asked)
		r.Pool.mu.Unlock()
		r.expectEnds("", 0)
		r.Pool.mu.Lock()
		r.dropMoved(map[string][]netip.Addr{"db.test:6432": nil}, time.Now())
		r.Pool.mu.Unlock()
		r.expectEnds(EndMoved, 1)
	})
}

func TestOnlyNamesAreLookedUp(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	addrs := []string{"127.0.0.1:6432", "[::1]:6432", "db.test:6432", "db.test:6433"}
	names := newNames(newTestDialer(t, ca, nil, addrs...))
	if len(names.hosts) != 2 || names.hosts["db.test:6433"] != "db.test" || names.resolve == nil {
		t.Errorf("looks up %v", names.hosts)
	}
	own := newTestDialer(t, ca, func(c *tlsorigin.Config) { c.NetDial = peertest.PipeTo(func(net.Conn) {}) }, addrs...)
	if names := newNames(own); len(names.hosts) != 0 {
		t.Errorf("looks up %v, though NetDial has its own idea of names", names.hosts)
	}
}
