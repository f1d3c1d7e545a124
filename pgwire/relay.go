package pgwire

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/evloop"
)

// side is one end of a session.
type side int

const (
	downstream side = iota
	upstream
)

// ending is how one direction of a relay ended.
type ending struct {
	side side  // whose stream or connection ended
	err  error // io.EOF if the side ended its stream in order
	own  bool  // the session had been ended before, and err comes from that
}

// errStopped means that nothing more is relayed, because the session has been ended.
var errStopped = errors.New("the session has been ended")

// writeToClient forwards p. An error has ended the session.
func (s *session) writeToClient(p []byte) error {
	_, err := s.giveClient(p)
	if err != nil {
		err = s.clientLost(err)
	}
	return err
}

// giveClient writes the part of p that the client may have. rest is what the client has had no room for.
func (s *session) giveClient(p []byte) (rest []byte, err error) {
	return s.deliver(p[:s.tracker.upstreamSays(p, s.server.draining.Load())])
}

// deliver writes p, which the client may have. rest is what the client has had no room for.
func (s *session) deliver(p []byte) (rest []byte, err error) {
	if len(p) > 0 {
		n, err := s.client.Write(p)
		s.toClient.Add(int64(n))
		if n < len(p) {
			return p[n:], err
		}
	}
	switch s.tracker.delivered() {
	case stopNone:
		s.drainIfAsked()
		return nil, nil
	case stopDrain:
		s.shutDown()
	case stopBreach:
		s.end(upstreamProtocol("the upstream asked for authentication again, after the login"))
	}
	return nil, errStopped
}

// drainIfAsked ends the session if the server drains and it is idle.
func (s *session) drainIfAsked() {
	if s.server.draining.Load() {
		s.drain()
	}
}

// clientLost ends the session because a write to the client has failed.
func (s *session) clientLost(err error) error {
	if errors.Is(err, errStopped) {
		return s.causeOf(err)
	}
	s.noteEnding(downstream, err)
	err = clientGone(err)
	s.end(err)
	return err
}

// sideEnded acts on the end of one side's stream. The end of the client's stream is passed on, and the
// session goes on for as long as the upstream does. The end of the upstream ends the session. The caller has
// seen to it that the client has got everything by then.
func (s *session) sideEnded(from side, err error) {
	first := s.noteEnding(from, err)
	if from == downstream && errors.Is(err, io.EOF) {
		s.upstream.closeWrite()
		return
	}
	s.end(s.describeEnding(first))
}

// upstreamRefused notes that a write to the upstream has failed. The session goes on until a read fails, too:
// the upstream may have said why.
func (s *session) upstreamRefused(err error) { s.noteEnding(upstream, err) }

// awaitDelivery waits until the client has got everything that was written to it. After a close, the kernel
// would give up on a slow client. The end of the session ends the wait.
func (s *session) awaitDelivery() {
	for pause := deliveryPause; evloop.Undelivered(s.client.socket); pause = longer(pause) {
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return
		}
	}
}

// deliveryPause is the first pause between two looks at what is undelivered. No event tells when that
// changes.
const deliveryPause = 5 * time.Millisecond

// longer returns the pause after pause.
func longer(pause time.Duration) time.Duration { return min(2*pause, time.Second) }

// noteEnding notes how a direction ended, if it is the first, and returns how the first one ended. The end of
// the second is a consequence.
func (s *session) noteEnding(from side, err error) *ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = &ending{side: from, err: err, own: s.ctx.Err() != nil}
	}
	return s.first
}

// upstreamEnded reports whether the upstream was the first to end its stream.
func (s *session) upstreamEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first != nil && s.first.side == upstream && !s.first.own
}

// relayError is the error with which the relay ended. Nil means that the client said goodbye.
func (s *session) relayError() error {
	s.mu.Lock()
	first := s.first
	s.mu.Unlock()
	if first != nil && s.tracker.clientTerminated() && s.tracker.lastWords() == nil {
		return nil
	}
	if first == nil {
		return s.causeOf(upstreamLost(PhaseRelay, io.ErrClosedPipe))
	}
	return s.causeOf(s.describeEnding(first))
}

// describeEnding returns the error of a session that ended with e.
func (s *session) describeEnding(e *ending) error {
	if said := s.tracker.lastWords(); said != nil { // whichever side then closed first
		return SessionEnd(said)
	}
	if e.side == downstream {
		return clientGone(e.err)
	}
	return upstreamLost(PhaseRelay, e.err)
}

// relayBuffer is the size of a pooled buffer: two full TLS records.
const relayBuffer = 32 << 10

//nolint:gochecknoglobals // a pool only helps if all sessions share it
var buffers = sync.Pool{New: func() any { b := make([]byte, relayBuffer); return &b }}

func getBuffer() *[]byte  { return buffers.Get().(*[]byte) }
func putBuffer(b *[]byte) { buffers.Put(b) }

// copyToClient copies what the upstream sends until it has no more.
func (s *session) copyToClient() {
	for s.copyOnceToClient() {
	}
}

// copyOnceToClient waits without a buffer, if possible: most sessions are idle. It returns false at the end.
func (s *session) copyOnceToClient() bool {
	s.upstream.awaitInput()
	buf := getBuffer()
	defer putBuffer(buf)
	n, err := s.upstream.Read(*buf)
	if n > 0 && s.writeToClient((*buf)[:n]) != nil {
		return false
	}
	if err != nil {
		s.noteEnding(upstream, err)
		s.awaitDelivery()
		s.sideEnded(upstream, err)
	}
	return err == nil
}

// copyToUpstream copies what the client sends until it has no more.
func (s *session) copyToUpstream() {
	for s.copyOnceToUpstream() {
	}
}

// copyOnceToUpstream waits as copyOnceToClient does.
func (s *session) copyOnceToUpstream() bool {
	s.client.awaitInput()
	buf := getBuffer()
	defer putBuffer(buf)
	n, err := s.client.Read(*buf)
	if n > 0 {
		if !s.tracker.clientSays((*buf)[:n]) {
			return false
		}
		m, werr := s.upstream.Write((*buf)[:n])
		s.toUpstream.Add(int64(m))
		if werr != nil {
			s.upstreamRefused(werr)
			s.discardFromClient(*buf)
			return false
		}
		s.drainIfAsked()
	}
	if err != nil {
		s.sideEnded(downstream, err)
	}
	return err == nil
}

// discardFromClient reads what can no longer be forwarded, because the client may have to write it before it
// reads. The end of the session ends this.
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

// copyBothWays relays without an event loop, on this goroutine and a second one.
func (s *session) copyBothWays() {
	if !s.client.secured { // which no event loop could relay
		s.server.offLoop.Add(1)
		defer s.server.offLoop.Add(-1)
	}
	var up sync.WaitGroup
	up.Go(s.copyToUpstream)
	s.copyToClient()
	up.Wait()
}
