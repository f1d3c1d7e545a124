package tlsorigin

import (
	"bytes"
	"context"
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
			request := make([]byte, len(sslRequest)) // over a pipe, a client does not wait before it is read
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			turn <- struct{}{}
			time.Sleep(200 * time.Millisecond) // in the bubble's time
			<-turn
			w.good(&unread{conn, bytes.NewReader(request)})
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

// unread is a connection of which a part was read already.
type unread struct {
	net.Conn
	head *bytes.Reader
}

func (c *unread) Read(p []byte) (int, error) {
	if c.head.Len() > 0 {
		return c.head.Read(p)
	}
	return c.Conn.Read(p)
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

// TestListIsAPreference: only a first entry that fails, or is silent for long, loses its sessions.
func TestListIsAPreference(t *testing.T) {
	const first, second = "10.0.0.1", "10.0.0.2"
	for _, row := range []struct {
		name   string
		set    func(w *town)
		wins   string
		took   time.Duration // of the first dial
		after  time.Duration // of those that follow
		beside bool          // the second entry is dialled
	}{
		{"good", func(*town) {}, first, 0, 0, false},
		{"a lost packet", func(w *town) {
			w.put(first, func(ctx context.Context, network, addr string) (net.Conn, error) {
				w.put(first, peertest.PipeTo(w.good))
				time.Sleep(time.Second) // the kernel repeats it
				return peertest.PipeTo(w.good)(ctx, network, addr)
			})
		}, first, time.Second, 0, false},
		{"300 ms away", func(w *town) { w.put(first, late(300*time.Millisecond, w.good)) }, first, 900 * time.Millisecond, 900 * time.Millisecond, false},
		{"600 ms away", func(w *town) { w.put(first, late(600*time.Millisecond, w.good)) }, first, 1800 * time.Millisecond, 1800 * time.Millisecond, false},
		{"slow DNS", func(w *town) { w.answers("a.test", 400*time.Millisecond, nil, first) }, first, 400 * time.Millisecond, stagger, false},
		{"no DNS", func(w *town) { w.answers("a.test", 0, errSlow) }, second, entryStagger, 0, true},
		{"DNS fails", func(w *town) { w.answers("a.test", 0, errServfail) }, second, 0, 0, true},
		{"black", func(w *town) { w.put(first, blackHole) }, second, entryStagger, 0, true},
		{"refuses", func(w *town) { w.put(first, refuses) }, second, 0, 0, true},
		{"both black", func(w *town) { w.put(first, blackHole); w.put(second, blackHole) }, "upstream_timeout", 10 * time.Second, 10 * time.Second, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, "a.test:6432", "b.test:6432")
				w.is("a.test", first)
				w.is("b.test", second)
				w.put(first, peertest.PipeTo(w.good))
				w.put(second, peertest.PipeTo(w.good))
				row.set(w)
				for _, took := range []time.Duration{row.took, row.after, row.after} {
					w.expect(row.wins, took)
				}
				if dialled, _ := w.take(); strings.Contains(dialled, second) != row.beside {
					t.Errorf("dialled %s", dialled)
				}
				w.checkClosed()
			})
		})
	}
}

// TestKnownBadEntries: where all are bad, none holds the others up for long.
func TestKnownBadEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, "10.0.0.1:6432", "10.0.0.2:6432")
		w.put("10.0.0.1", blackHole)
		w.put("10.0.0.2", refuses)
		w.expect("upstream_timeout", 10*time.Second)
		w.put("10.0.0.2", peertest.PipeTo(w.good))
		w.expect("10.0.0.2", stagger)
		w.checkClosed()
	})
}
