package pgwire

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// relayBuffer is the size of a pooled buffer: two full TLS records.
const relayBuffer = 32 << 10

//nolint:gochecknoglobals // a pool is worth something only if all sessions share it
var buffers = sync.Pool{New: func() any { b := make([]byte, relayBuffer); return &b }}

func getBuffer() *[]byte  { return buffers.Get().(*[]byte) }
func putBuffer(b *[]byte) { buffers.Put(b) }

// copyToClient copies what the upstream sends until it has no more.
func (s *session) copyToClient() {
	buf := getBuffer()
	defer putBuffer(buf)
	for {
		n, err := s.upstream.Read(*buf)
		if n > 0 {
			if s.writeToClient((*buf)[:n]) != nil {
				return
			}
			s.progressed()
		}
		if err != nil {
			s.sideEnded(upstream, err, s.client)
			return
		}
	}
}

// copyToUpstream copies what the client sends until it has no more. It runs
// from the startup packet on, through the auth phase too.
func (s *session) copyToUpstream() {
	buf := getBuffer()
	defer putBuffer(buf)
	var claim bindingClaim
	var claimed bool
	for s.uplink.mayRead(len(claim.held) == 0) {
		n, err := s.readUnsent(s.client, *buf)
		if s.uplink.mustYield() {
			s.unsent = bytes.Clone((*buf)[:n]) // whatever the error is, it will be there again
			return
		}
		if n > 0 {
			forward := (*buf)[:n]
			if !s.exchange.clientSays(forward) {
				return
			}
			if s.stripped.Load() {
				if forward, claimed = claim.feed(forward); claimed {
					s.end(bindingClaimed())
					return
				}
			}
			m, werr := s.upstream.Write(forward)
			s.toUpstream.Add(int64(m))
			if werr != nil {
				s.upstreamRefuses()
				return
			}
			s.progressed()
		}
		if err != nil {
			s.sideEnded(downstream, err, s.upstream)
			return
		}
	}
}

// readUnsent reads what is left of an uplink that was asked to leave, then from client.
func (s *session) readUnsent(client io.Reader, p []byte) (int, error) {
	if len(s.unsent) > 0 {
		n := copy(p, s.unsent)
		s.unsent = s.unsent[n:]
		return n, nil
	}
	return client.Read(p)
}

// uplink lets the goroutine that copies from client to upstream be asked to
// leave its work to an event loop.
type uplink struct {
	mu      sync.Mutex
	done    chan struct{} // closed when it has ended; nil if it was not started
	reading bool          // it waits for the client and holds nothing that is not sent
	yield   bool          // it is to leave
}

// mayRead says whether to go on. A free uplink holds nothing back.
func (u *uplink) mayRead(free bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reading = free
	return !u.yield
}

// mustYield says whether to leave instead of working on what was read.
func (u *uplink) mustYield() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reading = false
	return u.yield
}

// stop asks the uplink to leave. It returns false if it is in the middle of
// something that may last.
func (u *uplink) stop(client *leg) bool {
	u.mu.Lock()
	if u.done == nil {
		u.mu.Unlock()
		return true
	}
	u.yield = u.reading
	yield := u.yield
	u.mu.Unlock()
	if !yield {
		return false
	}
	_ = client.SetReadDeadline(time.Unix(1, 0)) // wakes it
	<-u.done
	_ = client.SetReadDeadline(time.Time{})
	return true
}
