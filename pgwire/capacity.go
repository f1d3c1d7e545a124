package pgwire

import (
	"container/list"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/evloop"
)

const (
	// crowdedGrace is what a silent client gets while there is no room for another connection.
	crowdedGrace = time.Second
	// crowdedPeriod is how often room is made then, and crowdedRoom for how many.
	crowdedPeriod = 10 * time.Millisecond
	crowdedRoom   = 16
)

// Capacity is what the process has room for. All servers that share it count together.
// A field that is zero bounds nothing. No field may change after the first Serve.
type Capacity struct {
	// Sessions caps sessions that have sent a startup packet; further clients get SQLSTATE 53300.
	Sessions int
	// SessionsFrom is what Sessions follows from, for that message.
	SessionsFrom string
	// Pressed reports whether the process uses more than was planned for, and must not take
	// on another session whatever Sessions says. It is called for each. Nil never does.
	Pressed func() bool
	// Logins is how many sessions may be between startup packet and ReadyForQuery. Others
	// wait, first come first served, within LoginTimeout.
	Logins int
	// Guests is how many connections may be open that are no session: silent ones, cancel
	// requests, refused ones. While there are so many, nothing more is accepted.
	Guests int
	// Cancels is how many cancel requests for the sessions of a server may be on their way.
	Cancels int

	sessions, guests atomic.Int64
	logins           semaphore
	loops            evloop.Group // of the process, as its processors are
}

// capacity is never nil.
func (s *Server) capacity() *Capacity {
	if s.Capacity != nil {
		return s.Capacity
	}
	return &s.unlimited
}

// take counts one more in n, unless there are limit already.
func take(n *atomic.Int64, limit int) bool {
	if n.Add(1) > int64(limit) && limit > 0 {
		n.Add(-1)
		return false
	}
	return true
}

// admit makes a guest a session.
func (c *Capacity) admit() error {
	text := ""
	switch {
	case !take(&c.sessions, c.Sessions):
		text = fmt.Sprintf("too many sessions: %s leaves room for %d, and all of them are in use", c.SessionsFrom, c.Sessions)
	case c.Pressed != nil && c.Pressed():
		text = fmt.Sprintf("too many sessions: %d are in use, and the memory limit leaves no room for another", c.sessions.Add(-1))
	default:
		c.guests.Add(-1)
		return nil
	}
	return &Error{Kind: ReasonTooManySessions, State: stateTooManyConnections, Text: text}
}

// InUse returns how many sessions there are.
func (c *Capacity) InUse() int { return int(c.sessions.Load()) }

// release ends what admit or awaitRoom began.
func (c *Capacity) release(admitted bool) {
	if admitted {
		c.sessions.Add(-1)
	} else {
		c.guests.Add(-1)
	}
}

// awaitRoom counts a guest before it is accepted, and sends silent ones away if there is
// no room. It returns false when the server is closed.
func (s *Server) awaitRoom(closed <-chan struct{}) bool {
	c := s.capacity()
	for !take(&c.guests, c.Guests) {
		s.pending.makeRoom(crowdedRoom, crowdedGrace)
		select {
		case <-closed:
			return false
		case <-time.After(crowdedPeriod):
		}
	}
	return true
}

// share is a part of the guests, most at the most.
func (c *Capacity) share(part, most int) int {
	if c.Guests == 0 {
		return most
	}
	return min(max(c.Guests/part, 1), most)
}

// cancels is how many cancel requests for sessions of a server may be on their way.
func (c *Capacity) cancels() int {
	if c.Cancels == 0 {
		return maxOwnedCancels
	}
	return min(c.Cancels, maxOwnedCancels)
}

// acquireLogin waits until there is room for another login, or the session has ended, perhaps because the client
// has left. Without error the caller calls releaseLogin.
func (s *session) acquireLogin() error {
	s.phase.Store(int32(PhaseDial))
	c := s.server.capacity()
	if c.Logins == 0 {
		return nil
	}
	return c.logins.acquire(s.ctx, c.Logins, -1)
}

func (s *session) releaseLogin() {
	if c := s.server.capacity(); c.Logins > 0 {
		c.logins.release()
	}
}

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
