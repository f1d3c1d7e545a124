package pgwire

import (
	"container/list"
	"fmt"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/evloop"
)

const (
	// maxPending is how many clients may be silent at one time before the
	// oldest of them have to go.
	maxPending = 512
	// pendingGrace is what any client gets to send its startup packet. Clients
	// are on the same machine and send it at once; a burst of honest ones is
	// through in a fraction of this.
	pendingGrace = 2 * time.Second
)

// pending are the clients that have not said what they want, the oldest first.
// Without a bound on them, whoever can connect could use up the descriptors of
// the process by just connecting, for LoginTimeout each. The zero value is
// ready to use.
type pending struct {
	mu      sync.Mutex
	clients list.List // of *session
}

// add notes a new client and ends silent ones that it makes too many.
func (p *pending) add(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.place = p.clients.PushBack(s)
	for p.clients.Len() > maxPending {
		oldest := p.clients.Front().Value.(*session)
		if time.Since(oldest.info.Accepted) < pendingGrace {
			return
		}
		p.removeLocked(oldest)
		oldest.end(&Error{
			Kind: ReasonClientTimeout,
			Text: fmt.Sprintf("the client sent no startup packet within %v, and more than %d are waiting", pendingGrace, maxPending),
		})
	}
}

// makeRoom ends up to n clients that have been silent for grace, the oldest first.
func (p *pending) makeRoom(n int, grace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.clients.Front(); e != nil && n > 0; {
		oldest := e.Value.(*session)
		e = e.Next()
		if time.Since(oldest.info.Accepted) < grace {
			return
		}
		if evloop.HasInput(oldest.client.Conn) {
			continue // it has sent something, which this process has not read yet
		}
		n--
		p.removeLocked(oldest)
		oldest.end(&Error{
			Kind: ReasonClientTimeout,
			Text: fmt.Sprintf("the client sent no startup packet within %v, and there is no room for other connections", grace),
		})
	}
}

// remove forgets a client that has spoken, or is gone.
func (p *pending) remove(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeLocked(s)
}

func (p *pending) removeLocked(s *session) {
	if s.place != nil {
		p.clients.Remove(s.place)
		s.place = nil
	}
}
