package pgwire

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// countingConn counts what the loop has read from the upstream, and the writes that found no room for all.
type countingConn struct {
	Upstream
	read, kept *atomic.Int64
}

func (c countingConn) TryRead(p []byte) (n int, more bool, err error) {
	n, more, err = c.Upstream.TryRead(p)
	c.read.Add(int64(n))
	return n, more, err
}

func (c countingConn) TryWrite(p []byte) (flushed bool, err error) {
	flushed, err = c.Upstream.TryWrite(p)
	if !flushed && err == nil {
		c.kept.Add(1)
	}
	return flushed, err
}

// delivered returns how much the clients of a server have been given.
func delivered(s *Server) (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ss := range s.sessions {
		bytes += ss.toClient.Load()
	}
	return bytes
}

// Under a memory limit the kernel alone holds what a peer does not read, in either direction, and nothing is
// lost.
func TestNothingIsKeptForAPeerThatDoesNotRead(t *testing.T) {
	for name, clientStalls := range map[string]bool{"client": true, "upstream": false} {
		t.Run(name, func(t *testing.T) {
			var read, kept atomic.Int64
			r := newTCPRig(t, func(s *Server) { s.Capacity = &Capacity{Pressed: func() bool { return false }} })
			r.secure = func(near net.Conn) Upstream {
				return countingConn{pgtest.NewUpstream(near), &read, &kept}
			}
			stalled, flood := r.login("pid4key4")
			if !clientStalls {
				stalled, flood = flood, stalled
			}
			before := delivered(r.server)
			sent := fill(t, flood)
			if n := read.Load() - (delivered(r.server) - before); n > 0 || kept.Load() > 0 {
				t.Errorf("%d bytes for the client and %d writes for the upstream are kept, want none", n, kept.Load())
			}
			flood.CloseWrite()
			got, err := io.ReadAll(stalled)
			if err != nil || len(got) != sent || !bytes.Equal(got[:5], []byte("flood")) {
				t.Errorf("%d bytes arrived of %d (%v)", len(got), sent, err)
			}
		})
	}
}
