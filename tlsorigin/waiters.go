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

// waiters are the attempts that are connected and not yet verified. The zero value is ready to use.
type waiters struct {
	mu     sync.Mutex
	byAddr map[string]*addrWaiters // an address without attempts is not in it
}

// addrWaiters are those of one resolved address.
type addrWaiters struct {
	addr     string
	all      list.List // of *waiter, the oldest first
	answered time.Time // when an attempt was last answered
	youngest time.Time // and when the youngest of those that were answered had begun
	hellos   turns     // that wait for an answer
}

// hangs reports whether w waits in vain. A machine that is merely slow answers other attempts meanwhile, in
// about the order in which they came. So w hangs if none was answered since it began, or one that began much
// later.
func (a *addrWaiters) hangs(w *waiter, now time.Time) bool {
	return !w.since.IsZero() && w.waited+now.Sub(w.since) >= silentGrace &&
		(a.answered.Before(w.began) || a.youngest.Sub(w.began) >= silentGrace)
}

// waiter is one of these attempts. One goroutine uses its methods. Nil bounds nothing.
type waiter struct {
	waiters  *waiters
	at       *addrWaiters
	began    time.Time
	place    *list.Element
	end      func(error) // interrupts the attempt
	endHello func()      // ends the time of its hello; may be called again. Nil before the hello

	since  time.Time // when it began to wait; zero while it does not. Guarded by waiters.mu, as is waited.
	waited time.Duration
}

// join adds an attempt, and ends silent ones that it makes too many. The caller calls leave.
func (s *waiters) join(addr string, end func(error)) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAddr == nil {
		s.byAddr = map[string]*addrWaiters{}
	}
	a := s.byAddr[addr]
	if a == nil {
		a = &addrWaiters{addr: addr, hellos: make(turns, maxHellos)}
		s.byAddr[addr] = a
	}
	w := &waiter{waiters: s, at: a, end: end, began: time.Now()}
	a.makeRoom(w.began)
	w.place = a.all.PushBack(w)
	return w
}

// makeRoom ends the oldest attempts that wait in vain until less than maxSilent are left.
func (a *addrWaiters) makeRoom(now time.Time) {
	for e := a.all.Front(); e != nil && a.all.Len() >= maxSilent; {
		w, next := e.Value.(*waiter), e.Next()
		if a.hangs(w, now) {
			a.all.Remove(e)
			w.place = nil
			w.end(errOutwaited)
		}
		e = next
	}
}

// hello waits until the address may be sent another ClientHello, and reports whether that was before
// deadline.
func (w *waiter) hello(ctx context.Context, deadline time.Time) bool {
	if w == nil {
		return true
	}
	t := newTurn(ctx, w.at.hellos, deadline)
	if t.take() != nil {
		return false
	}
	giveBack := sync.OnceFunc(t.giveBack)
	timer := time.AfterFunc(helloGrace, giveBack)
	w.endHello = func() {
		timer.Stop()
		giveBack()
	}
	return true
}

// answered says that the peer has begun to answer.
func (w *waiter) answered() {
	if w == nil {
		return
	}
	w.endHello()
	w.waiters.mu.Lock()
	defer w.waiters.mu.Unlock()
	w.at.answered = time.Now()
	if w.began.After(w.at.youngest) {
		w.at.youngest = w.began
	}
}

// startWait says that the attempt waits for its peer from now on, stopWait that it does not any more.
func (w *waiter) startWait() {
	if w == nil {
		return
	}
	w.waiters.mu.Lock()
	defer w.waiters.mu.Unlock()
	w.since = time.Now()
}

func (w *waiter) stopWait() {
	if w == nil {
		return
	}
	w.waiters.mu.Lock()
	defer w.waiters.mu.Unlock()
	if !w.since.IsZero() {
		w.waited += time.Since(w.since)
	}
	w.since = time.Time{}
}

// leave takes the attempt out, however it ended.
func (w *waiter) leave() {
	if w.endHello != nil {
		w.endHello()
	}
	w.waiters.mu.Lock()
	defer w.waiters.mu.Unlock()
	if w.place == nil { // it has made room for another one, which cleans up
		return
	}
	w.at.all.Remove(w.place)
	w.place = nil
	if w.at.all.Len() == 0 {
		delete(w.waiters.byAddr, w.at.addr)
	}
}
