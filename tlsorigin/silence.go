package tlsorigin

import (
	"container/list"
	"errors"
	"sync"
	"time"
)

const (
	// maxSilent is how many attempts may wait for one resolved address before the oldest of them have to go. A hung
	// machine would otherwise collect as many connections as there are logins within the dial timeout.
	maxSilent = 64
	// silentGrace is what any attempt may wait in all. A machine that is merely busy answers a hello sooner.
	silentGrace = 2 * time.Second
)

// errOutwaited ends an attempt whose peer was silent for silentGrace while others waited for the same address.
var errOutwaited = errors.New("the peer was silent and others are waiting")

// silence knows which attempts wait for a word of their peer. The zero value is ready to use.
type silence struct {
	mu     sync.Mutex
	byAddr map[string]*list.List // of *listener, the oldest first; an address without listeners is not in it
}

// listener is one attempt that is connected and not yet verified. Its methods are used by one goroutine; nil is one
// that nobody bounds.
type listener struct {
	silence *silence
	addr    string
	place   *list.Element
	end     func(error) // interrupts the attempt

	since  time.Time // when it began to wait; zero while it does not. Guarded by silence.mu, as is waited.
	waited time.Duration
}

// join adds an attempt, and ends silent ones that it makes too many. The caller calls leave.
func (s *silence) join(addr string, end func(error)) *listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAddr == nil {
		s.byAddr = map[string]*list.List{}
	}
	all := s.byAddr[addr]
	if all == nil {
		all = list.New()
		s.byAddr[addr] = all
	}
	l := &listener{silence: s, addr: addr, end: end}
	s.makeRoom(all)
	l.place = all.PushBack(l)
	return l
}

// makeRoom ends the oldest silent attempts, as far as they had their time, until less than maxSilent are left. s.mu is held.
func (s *silence) makeRoom(all *list.List) {
	now := time.Now()
	excess := all.Len() - maxSilent + 1
	for e := all.Front(); e != nil && excess > 0; {
		l, next := e.Value.(*listener), e.Next()
		if !l.since.IsZero() && l.waited+now.Sub(l.since) >= silentGrace {
			all.Remove(e)
			l.place = nil
			l.end(errOutwaited)
			excess--
		}
		e = next
	}
}

// wait says that the attempt waits for its peer from now on, heard that it does not any more.
func (l *listener) wait() {
	if l == nil {
		return
	}
	l.silence.mu.Lock()
	defer l.silence.mu.Unlock()
	l.since = time.Now()
}

func (l *listener) heard() {
	if l == nil {
		return
	}
	l.silence.mu.Lock()
	defer l.silence.mu.Unlock()
	if !l.since.IsZero() {
		l.waited += time.Since(l.since)
	}
	l.since = time.Time{}
}

// leave takes the attempt out, however it ended.
func (l *listener) leave() {
	s := l.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.byAddr[l.addr]
	if l.place != nil {
		all.Remove(l.place)
		l.place = nil
	}
	if all != nil && all.Len() == 0 {
		delete(s.byAddr, l.addr)
	}
}
