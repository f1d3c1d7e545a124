package pgwire

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/evloop"
)

// watchInterval is how often the watch looks.
const watchInterval = 500 * time.Millisecond

// loginWatch looks at the connections that a login does not read from, so that a client that has vanished
// does not occupy an upstream connection. A login is the same without it.
type loginWatch struct {
	mu       sync.Mutex
	timer    *time.Timer // nil means that nothing is watched
	asked    bool        // the client has been asked for something
	upstream net.Conn    // nil unless it is watched, too
}

// watchClient ends the session when the client leaves, and the client's reads when the upstream hangs up.
func (s *session) watchClient() {
	s.watch.start(s.client, func() { s.end(clientGone(io.EOF)) }, s.client.stopReads)
}

// start begins to watch a client. clientLeft is called at most once, and upstreamHungUp at most once after each
// begin, both with w.mu held.
func (w *loginWatch) start(client *leg, clientLeft, upstreamHungUp func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(watchInterval, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case w.timer == nil:
			return
		case client.hasLeft():
			clientLeft()
			return
		case w.upstream != nil && evloop.HungUp(w.upstream):
			w.upstream = nil
			upstreamHungUp()
		}
		w.timer.Reset(watchInterval)
	})
}

// begin begins to watch the upstream, too, because only the client is read: it has been asked for something.
// A nil upstream is known to have hung up.
func (w *loginWatch) begin(upstream net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.upstream = true, upstream
}

// answered ends what begin has begun.
func (w *loginWatch) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.upstream = false, nil
}

// awaitsClient reports whether the client has been asked for something, and has not answered.
func (w *loginWatch) awaitsClient() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// stop ends the watch. No function is called afterwards.
func (w *loginWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer, w.upstream = nil, nil
	}
}

// hasLeft reports whether a client has ended its stream, sent Terminate or broken its connection, with
// nothing unread before that. What is unread inside TLS is not known. A client with TLS that ends its stream has
// left: it sends close_notify before that.
func (l *leg) hasLeft() bool {
	head := make([]byte, messageHeader)
	n, ended := evloop.Peek(l.socket, head)
	if l.secured {
		return ended || evloop.HungUp(l.socket)
	}
	goodbye := n == messageHeader && head[0] == typeTerminate && binary.BigEndian.Uint32(head[1:]) == 4
	return ended || goodbye
}
