package pgwire

import (
	"errors"
	"io"
	"sync"
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
		}
		if err != nil {
			s.noteEnding(upstream, err)
			s.awaitDelivery()
			s.sideEnded(upstream, err)
			return
		}
	}
}

// copyToUpstream copies what the client sends until it has no more.
func (s *session) copyToUpstream() {
	buf := getBuffer()
	defer putBuffer(buf)
	for {
		n, err := s.client.Read(*buf)
		if n > 0 {
			if !s.tracker.clientSays((*buf)[:n]) {
				return
			}
			m, werr := s.upstream.Write((*buf)[:n])
			s.toUpstream.Add(int64(m))
			if werr != nil {
				s.upstreamRefused(werr)
				s.discardFromClient(*buf)
				return
			}
			s.drainIfAsked()
		}
		if err != nil {
			s.sideEnded(downstream, err)
			return
		}
	}
}

// discardFromClient takes what cannot be forwarded any more off a client that may
// have to write it before it reads. The end of the session ends it.
func (s *session) discardFromClient(scrap []byte) {
	for {
		if _, err := s.client.Read(scrap); err != nil {
			if !errors.Is(err, io.EOF) {
				s.sideEnded(downstream, err)
			}
			return
		}
	}
}

// copyBothWays relays where no event loop does, on this goroutine and a second one.
func (s *session) copyBothWays() {
	s.server.offLoop.Add(1)
	defer s.server.offLoop.Add(-1)
	var up sync.WaitGroup
	up.Go(s.copyToUpstream)
	s.copyToClient()
	up.Wait()
}
