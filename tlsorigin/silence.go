package tlsorigin

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxSilent is how many attempts may wait for one resolved address before the oldest of them have to go.
	// A hung machine would otherwise collect as many connections as there are logins within the dial timeout.
	maxSilent = 64
	// silentGrace is what any attempt may wait in all, however many others there are. It is long for a busy
	// server.
	silentGrace = maxPatience
	// maxHellos is how many ClientHellos one address gets before it has answered one of them, and helloGrace
	// how long one counts. A burst that is sent all at once makes a server so slow that hellos are taken for
	// lost.
	maxHellos  = 32
	helloGrace = 300 * time.Millisecond
)

// errOutwaited ends an attempt whose peer was silent for silentGrace while many waited for the same address.
var errOutwaited = errors.New("the peer was silent and others are waiting")

// silence knows which attempts wait for a word of their peer. The zero value is ready to use.
type silence struct {
	mu     sync.Mutex
	byAddr map[string]*silentAddr // an address without listeners is not in it
}

// silentAddr is one resolved address.
type silentAddr struct {
	listeners list.List // of *listener, the oldest first
	answered  time.Time // when an attempt was last answered
	youngest  time.Time // and when the youngest of those that were answered had begun
	hellos    turns     // that wait for an answer
}

// hangs reports whether l waits in vain. A machine that is merely slow answers the others meanwhile, and in
// about the order in which they came; so a listener hangs if nobody was answered in its time, or one who came
// much later.
func (a *silentAddr) hangs(l *listener, now time.Time) bool {
	return !l.since.IsZero() && l.waited+now.Sub(l.since) >= silentGrace &&
		(a.answered.Before(l.began) || a.youngest.Sub(l.began) >= silentGrace)
}

// listener is one attempt that is connected and not yet verified. Its methods are used by one goroutine; nil
// is one that nobody bounds.
type listener struct {
	silence *silence
	addr    string
	began   time.Time
	place   *list.Element
	end     func(error) // interrupts the attempt
	hellos  turns       // of its address
	heed    func()      // ends the time of its hello; may be called again. Nil before the hello

	since  time.Time // when it began to wait; zero while it does not. Guarded by silence.mu, as is waited.
	waited time.Duration
}

// join adds an attempt, and ends silent ones that it makes too many. The caller calls leave.
func (s *silence) join(addr string, end func(error)) *listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAddr == nil {
		s.byAddr = map[string]*silentAddr{}
	}
	a := s.byAddr[addr]
	if a == nil {
		a = &silentAddr{hellos: make(turns, maxHellos)}
		s.byAddr[addr] = a
	}
	l := &listener{silence: s, addr: addr, end: end, began: time.Now(), hellos: a.hellos}
	a.makeRoom(l.began)
	l.place = a.listeners.PushBack(l)
	return l
}

// makeRoom ends the oldest attempts that wait in vain until less than maxSilent are left.
func (a *silentAddr) makeRoom(now time.Time) {
	for e := a.listeners.Front(); e != nil && a.listeners.Len() >= maxSilent; {
		l, next := e.Value.(*listener), e.Next()
		if a.hangs(l, now) {
			a.listeners.Remove(e)
			l.place = nil
			l.end(errOutwaited)
		}
		e = next
	}
}

// hello waits until the address may be sent another ClientHello, and reports whether that was before
// deadline.
func (l *listener) hello(ctx context.Context, deadline time.Time) bool {
	if l == nil {
		return true
	}
	t := newTurn(ctx, l.hellos, deadline)
	if t.take() != nil {
		return false
	}
	giveBack := sync.OnceFunc(t.giveBack)
	timer := time.AfterFunc(helloGrace, giveBack)
	l.heed = func() {
		timer.Stop()
		giveBack()
	}
	return true
}

// answered says that the peer has begun to answer.
func (l *listener) answered() {
	if l == nil {
		return
	}
	l.heed()
	l.silence.mu.Lock()
	defer l.silence.mu.Unlock()
	if a := l.silence.byAddr[l.addr]; a != nil {
		a.answered = time.Now()
		if l.began.After(a.youngest) {
			a.youngest = l.began
		}
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
	if l.heed != nil {
		l.heed()
	}
	s := l.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byAddr[l.addr]
	if l.place != nil {
		a.listeners.Remove(l.place)
		l.place = nil
	}
	if a != nil && a.listeners.Len() == 0 {
		delete(s.byAddr, l.addr)
	}
}
