package pgwire

import (
	"io"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/evloop"
)

// aside runs wait while the session only waits for its upstream: see [Server.DialSession]. The session stays
// counted. It ends at once when the client leaves.
func (s *session) aside(wait func()) {
	s.releaseLogin()
	inTime := s.timer.Stop()
	s.watch.stop()
	notice := s.noticeLeaving()
	began := time.Now()
	wait()
	notice.stop()
	if !inTime { // loginExpired ends the session, and reads info.Waited
		return
	}
	s.info.Waited += time.Since(began)
	if s.ctx.Err() != nil {
		return
	}
	s.watchClient()
	s.timer.Reset(time.Until(s.info.Accepted.Add(s.server.loginTimeout() + s.info.Waited)))
	_ = s.acquireLogin() // the opener sees the end of the context, too
}

// leaveNotice is a goroutine that waits for the client to leave. It costs no processor time, unlike loginWatch,
// and needs the client for itself.
type leaveNotice struct {
	client *leg
	done   chan struct{} // closed when the goroutine ends
}

// noticeLeaving ends the session as soon as the client leaves.
func (s *session) noticeLeaving() leaveNotice {
	n := leaveNotice{client: s.client, done: make(chan struct{})}
	go func() {
		defer close(n.done)
		if evloop.AwaitInput(n.client.socket, n.client.hasLeft) {
			s.end(clientGone(io.EOF))
		}
	}()
	return n
}

func (n leaveNotice) stop() {
	n.client.stopReads()
	<-n.done
	n.client.allowReads()
}
