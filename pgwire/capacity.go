package pgwire

import (
	"cmp"
	"container/list"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/evloop"
)

const (
	// crowdedGrace is how long a silent client may stay while there is no room for another connection.
	crowdedGrace = time.Second
	// Then the server ends up to crowdedRoom silent clients each crowdedPeriod.
	crowdedPeriod = 10 * time.Millisecond
	crowdedRoom   = 16
)

// Capacity is what a process has room for, and the event loops that all its sessions share. Servers with the
// same Capacity count together. A limit of zero means no limit. No field may change after the first call of
// Serve.
type Capacity struct {
	// Sessions is how many sessions there may be, counted from the startup packet on; further clients get
	// SQLSTATE 53300. It follows from the machine. Server.MaxSessions is what an operator allows one server.
	Sessions int
	// SessionsFrom names the limit that Sessions follows from, for the error message.
	SessionsFrom string
	// Pressed reports whether the process uses more memory than planned, and must not take another session
	// whatever Sessions says. It is called for each new session. Nil means that there is no memory limit.
	Pressed func() bool
	// Logins is how many sessions may be between startup packet and ReadyForQuery. Others wait, first come
	// first served, within LoginTimeout.
	Logins int
	// Guests is how many open connections may be something else than a session: silent clients, cancel
	// requests, refused clients. While there are so many, the servers accept nothing.
	Guests int
	// Cancels is how many cancel requests for the sessions of one server may be on their way. Zero means
	// MaxCancels, which is also the limit.
	Cancels int

	sessions, guests atomic.Int64
	logins           semaphore
	loops            evloop.Group // of the whole process, for they share out its processors
}

// capacity returns Capacity, or one without limits in place of nil.
func (s *Server) capacity() *Capacity {
	if s.Capacity != nil {
		return s.Capacity
	}
	return &s.unlimited
}

// take counts one more in n, unless n has reached limit. A limit of zero means none.
func take(n *atomic.Int64, limit int) bool {
	if n.Add(1) > int64(limit) && limit > 0 {
		n.Add(-1)
		return false
	}
	return true
}

// admit turns a guest into a session.
func (c *Capacity) admit() error {
	text := ""
	switch {
	case !take(&c.sessions, c.Sessions):
		text = fmt.Sprintf("too many sessions: %s leaves room for %d, and all of them are in use",
			c.SessionsFrom, c.Sessions)
	case c.Pressed != nil && c.Pressed():
		text = fmt.Sprintf("too many sessions: %d are in use, and the memory limit leaves no room for another",
			c.sessions.Add(-1))
	default:
		c.guests.Add(-1)
		return nil
	}
	return &Error{Kind: ReasonTooManySessions, State: stateTooManyConnections, Text: text}
}

// InUse returns how many sessions there are.
func (c *Capacity) InUse() int { return int(c.sessions.Load()) }

// release uncounts a session or a guest.
func (c *Capacity) release(admitted bool) {
	if admitted {
		c.sessions.Add(-1)
	} else {
		c.guests.Add(-1)
	}
}

// awaitRoom counts a guest before it is accepted. If there is no room, it ends silent clients. It returns
// false when the server is closed.
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

// share returns the given part of the guests: at least 1, at most most.
func (c *Capacity) share(part, most int) int {
	if c.Guests == 0 {
		return most
	}
	return min(max(c.Guests/part, 1), most)
}

// cancels is Cancels with its default and its limit.
func (c *Capacity) cancels() int { return min(cmp.Or(c.Cancels, MaxCancels), MaxCancels) }

// acquireLogin waits until there is room for another login, or the session has ended, perhaps because the
// client has left. Without error the caller calls releaseLogin. Event loops know of the login meanwhile.
func (s *session) acquireLogin() error {
	c := s.server.capacity()
	if c.Logins > 0 {
		if err := c.logins.acquire(s.ctx, c.Logins, -1); err != nil {
			return err
		}
	}
	s.logsIn = true
	c.loops.Busy(1)
	return nil
}

// releaseLogin undoes acquireLogin, if that is not undone yet.
func (s *session) releaseLogin() {
	if !s.logsIn {
		return
	}
	s.logsIn = false
	c := s.server.capacity()
	c.loops.Busy(-1)
	if c.Logins > 0 {
		c.logins.release()
	}
}

const (
	// MaxPending is how many clients of one server may be silent at one time. A further one ends the oldest.
	MaxPending = 512
	// pendingGrace is how long any client may take to send its startup packet. Clients are on the same
	// machine and send it at once. An ordinary burst needs a fraction of this time.
	pendingGrace = 2 * time.Second
)

// pending are the clients that have not sent a startup packet, the oldest first. Without a limit, anyone who
// can connect could use up the descriptors of the process, for LoginTimeout each. The zero value is ready to
// use.
type pending struct {
	mu      sync.Mutex
	clients list.List // of *session
}

// add adds a new client, and ends silent ones if there are too many.
func (p *pending) add(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.place = p.clients.PushBack(s)
	for p.clients.Len() > MaxPending {
		oldest := p.clients.Front().Value.(*session)
		if time.Since(oldest.info.Accepted) < pendingGrace {
			return
		}
		p.removeLocked(oldest)
		oldest.end(&Error{
			Kind: ReasonClientTimeout,
			Text: fmt.Sprintf("the client sent no startup packet within %v, and more than %d are waiting",
				pendingGrace, MaxPending),
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
		if evloop.HasInput(oldest.client.socket) {
			continue // it has sent something, which this process has not read yet
		}
		n--
		p.removeLocked(oldest)
		oldest.end(&Error{
			Kind: ReasonClientTimeout,
			Text: fmt.Sprintf("the client sent no startup packet within %v, "+
				"and there is no room for other connections", grace),
		})
	}
}

// remove removes a client that has sent its packet, or is gone.
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
