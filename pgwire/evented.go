package pgwire

import (
	"errors"
	"net"
)

// errOnLoop says that the session's goroutine is not needed any more.
var errOnLoop = errors.New("the relay goes on in an event loop")

// evented is what an upstream connection offers, besides being one, if an event
// loop can relay it. Where it does not, or the system has no loop, two
// goroutines copy.
type evented interface {
	// Socket is what carries the stream. SetNonBlocking puts another carrier of
	// the same stream in its place, whose Read and Write return EAGAIN instead
	// of waiting. From then on the methods below are used, by one goroutine.
	Socket() net.Conn
	SetNonBlocking(socket net.Conn)
	// TryRead reads once into p, which has relayRead+relaySlack bytes. Without
	// data the error is EAGAIN or the end. More tells that there may be more.
	TryRead(p []byte) (n int, more bool, err error)
	// TryWrite takes all of p, at most relayWrite bytes. TryFlush sends what is
	// left; nothing may be written before it is. It may also have something to
	// send of its own accord, after TryRead.
	TryWrite(p []byte) (flushed bool, err error)
	TryFlush() (flushed bool, err error)
	CloseWrite() error
}

const (
	relayRead  = 32 << 10 // what is read from an upstream at once: two full TLS records, and with their plaintext no more than a processor's near cache
	relaySlack = 16 << 10 // one record, of which a part had come before
	relayWrite = 64 << 10 // what is read from a client at once: four records, each of which leaves the cache before the next is made
)

// moveToLoop hands the relay over to an event loop, if that is possible. The
// session's goroutine then has nothing left to do.
func (s *session) moveToLoop() bool {
	up, ok := s.upstream.Conn.(evented)
	if !ok || s.server.portable {
		return false
	}
	if !s.client.release() || !s.upstream.release() { // the session was ended in this moment
		s.client.interrupt()
		s.upstream.interrupt()
		return false
	}
	if s.joinLoop(up) {
		return true
	}
	s.client.watch(s.ctx)
	s.upstream.watch(s.ctx)
	return false
}
