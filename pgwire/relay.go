package pgwire

import (
	"errors"
	"io"
	"os"
)

// side is the leg that something came from.
type side int

const (
	downstream side = iota
	upstream
)

// ending is how one direction of a relay ended.
type ending struct {
	side side
	err  error // io.EOF if the side ended its stream in order
}

// writeToClient forwards p. An error is the client's and ends the session.
func (s *session) writeToClient(p []byte) error {
	_, err := s.giveClient(p)
	if err != nil {
		err = s.clientLost(err)
	}
	return err
}

// giveClient writes p and takes note of what was written.
func (s *session) giveClient(p []byte) (int, error) {
	n, err := s.client.Write(p)
	s.toClient.Add(int64(n))
	s.exchange.upstreamSaid(p[:n])
	if s.server.draining.Load() {
		s.drain()
	}
	return n, err
}

// clientLost ends the session because nothing can be written to the client.
func (s *session) clientLost(err error) error {
	s.noteEnding(downstream, err)
	err = clientGone(err)
	s.end(err)
	return err
}

// sideEnded passes the end of one side on to the other leg. An orderly end is a
// half-close: the other direction goes on for as long as it makes progress.
// Anything else ends the session. So does an upstream that is gone after the
// client's Terminate, or while the client waits for a message: then nothing but
// an error can come any more.
func (s *session) sideEnded(from side, err error, other *leg) {
	first := s.noteEnding(from, err)
	orderly := errors.Is(err, io.EOF)
	over := from == upstream && (s.exchange.over() || first.side == upstream && s.exchange.expectsMessage())
	if !orderly || over {
		s.end(s.describeEnding(first))
		return
	}
	other.closeWrite()
	s.linger()
}

// upstreamRefuses ends the direction to an upstream that takes nothing more. The
// session goes on: the upstream may have said why before it closed, and whoever
// reads from it will hear that, or the same error.
func (s *session) upstreamRefuses() { s.linger() }

// linger bounds how long the remaining direction may stand still. Only
// progress extends it, so that a long answer to a half-closed client is not cut.
func (s *session) linger() {
	s.lingering.Store(true)
	s.progressed()
}

// stoodStill ends a session whose remaining direction made no progress. If no
// direction has ended in words, it is the upstream that takes nothing more.
func (s *session) stoodStill() {
	s.end(s.describeEnding(s.noteEnding(upstream, os.ErrDeadlineExceeded)))
}

func (s *session) progressed() {
	if s.lingering.Load() {
		s.client.limit(s.server.lingerTimeout())
		s.upstream.limit(s.server.lingerTimeout())
	}
}

// noteEnding returns how the first direction ended, of which the end of the
// second is a consequence.
func (s *session) noteEnding(from side, err error) *ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = &ending{from, err}
	}
	return s.first
}

// verdict says how the relay ended; nil means as it should.
func (s *session) verdict() error {
	s.mu.Lock()
	first := s.first
	s.mu.Unlock()
	if first != nil && s.exchange.over() {
		return nil
	}
	if first == nil {
		return s.causeOf(upstreamLost(PhaseRelay, io.ErrClosedPipe))
	}
	return s.causeOf(s.describeEnding(first))
}

// describeEnding turns the end of one direction into the session's error.
func (s *session) describeEnding(e *ending) error {
	if e.side == downstream {
		return clientGone(e.err)
	}
	return upstreamLost(PhaseRelay, e.err)
}
