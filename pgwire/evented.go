package pgwire

import "errors"

// errOnLoop says that the session's goroutine is not needed any more.
var errOnLoop = errors.New("the relay goes on in an event loop")

// moveToLoop hands the relay over to an event loop, if that is possible. The
// session's goroutine then has nothing left to do.
func (s *session) moveToLoop() bool {
	if s.server.portable || s.upstreamConn.Socket() == nil {
		return false
	}
	if !s.client.release() || !s.upstream.release() { // the session was ended in this moment
		s.client.interrupt()
		s.upstream.interrupt()
		return false
	}
	if s.joinLoop() {
		return true
	}
	s.client.watch(s.ctx)
	s.upstream.watch(s.ctx)
	return false
}
