package sidecar

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// age makes w believe that the clients whom it has seen have waited for d.
func (w *acceptWatch) age(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.since.IsZero() {
		w.since = w.since.Add(-d)
	}
}

func TestAcceptLoopIsStuck(t *testing.T) {
	for name, listen := range map[string]func() (net.Listener, error){
		"tcp": func() (net.Listener, error) { return net.Listen("tcp", cmdtest.FreeAddr(t)) },
		"unix": func() (net.Listener, error) {
			return host.ListenUnix(t.Context(), filepath.Join(t.TempDir(), "s"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := listen()
			if err != nil {
				t.Fatal(err)
			}
			w := &acceptWatch{Listener: ln}
			wantAlive := func(story string) {
				t.Helper()
				if err := w.check(); err != nil {
					t.Errorf("%s: %v", story, err)
				}
			}
			dial := func() {
				t.Helper()
				conn, err := net.Dial(ln.Addr().Network(), ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
			}
			accept := func() {
				t.Helper()
				conn, err := w.Accept()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
			}
			wantAlive("nobody has come")
			w.age(time.Hour)
			wantAlive("nobody has come for an hour")
			dial()
			dial()
			wantAlive("clients have come just now")
			w.age(stuckAfter - time.Second)
			wantAlive("clients have waited for a while")
			accept()
			w.age(time.Hour)
			wantAlive("one of them was accepted")
			w.age(stuckAfter)
			other := &acceptWatch{Listener: ln}
			if _, err := (acceptWatches{other, w}).check(); err == nil || !strings.Contains(err.Error(), "none was accepted for 10s") {
				t.Errorf("a client waits, and nobody comes for it: %v", err)
			}
			accept()
			wantAlive("it goes on")
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			wantAlive("the listener was closed, by a drain")
		})
	}
}

// A loop that finds no free descriptor tries again: it is alive, and a restart would only cost the sessions there are.
func TestAcceptErrorsAreProgress(t *testing.T) {
	ln, err := net.Listen("tcp", cmdtest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w := &acceptWatch{Listener: failingListener{ln.(*net.TCPListener)}}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		if err := w.check(); err != nil {
			t.Error(err)
		}
		w.age(time.Hour)
		if _, err := w.Accept(); err == nil {
			t.Fatal("accepted")
		}
	}
}

// failingListener has clients and cannot accept them.
type failingListener struct{ *net.TCPListener }

func (failingListener) Accept() (net.Conn, error) { return nil, errors.New("too many open files") }
