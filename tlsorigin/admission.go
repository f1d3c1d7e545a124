package tlsorigin

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxHandshakes bounds how many handshakes compute at one time. Each costs milliseconds of a processor: a
	// burst of a thousand clients would make running sessions wait for seconds.
	maxHandshakes = 32
	// maxBeside is how many attempts may run beside another one of the same dial. Each holds a descriptor that
	// nobody has planned for.
	maxBeside = 32
	// maxSilent is how many attempts may wait for one resolved address before the oldest are ended. Otherwise
	// a hung machine would collect a connection for each login within the dial timeout.
	maxSilent = 64
	// silentGrace is how long any attempt may wait, however many others there are. Even a busy server answers
	// in that time.
	silentGrace = maxPatience
	// maxHellos is how many ClientHellos one address gets before it has answered one of them, and helloGrace
	// how long one counts. A burst sent at once makes a server so slow that its hellos look lost.
	maxHellos  = 32
	helloGrace = 300 * time.Millisecond
)

// errOutwaited ends an attempt whose peer was silent for silentGrace while many waited for the same address.
var errOutwaited = errors.New("the peer was silent and others are waiting")

// semaphore bounds how much goes on at one time. Nil bounds nothing.
type semaphore chan struct{}

// permit is the place of one handshake in a semaphore. The handshake holds it while it computes and never
// while it waits for its peer: a silent peer, or one that sends a byte a second, costs the others nothing.
// One goroutine uses it.
type permit struct {
	semaphore semaphore
	deadline  time.Time
	left      <-chan struct{} // closed when nobody needs the handshake any more
	held      bool
}

// noPermitError says that a handshake got no permit before its deadline, or was interrupted while it waited.
type noPermitError struct{ others int }

func (e noPermitError) Error() string {
	return fmt.Sprintf("no permit: %d other TLS handshakes were computed until the time was up", e.others)
}

func newPermit(ctx context.Context, s semaphore, deadline time.Time) *permit {
	return &permit{semaphore: s, deadline: deadline, left: ctx.Done()}
}

// acquire waits for a place, first come first served. It does nothing if the permit is held already.
func (p *permit) acquire() error {
	if p == nil || p.semaphore == nil || p.held {
		return nil
	}
	select {
	case p.semaphore <- struct{}{}:
		p.held = true
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(p.deadline))
	defer timer.Stop()
	select {
	case p.semaphore <- struct{}{}:
		p.held = true
		return nil
	case <-p.left:
	case <-timer.C:
	}
	return noPermitError{cap(p.semaphore)}
}

// release gives the place back. It may be called again.
func (p *permit) release() {
	if p != nil && p.held {
		<-p.semaphore
		p.held = false
	}
}

// waiters are the attempts that are connected and not yet verified. The zero value is ready to use. Nil
// bounds nothing.
type waiters struct {
	mu     sync.Mutex
	byAddr map[string]*addrWaiters // an address without attempts is not in it
	heard  time.Time               // when an attempt at any address last got anything
	// expecting is until when a ClientHello may have vanished on the way to an address that was never verified.
	// Another hello will tell.
	expecting time.Time
}

// addrWaiters are the attempts at one resolved address.
type addrWaiters struct {
	addr     string
	all      list.List // of *waiter, the oldest first
	heard    time.Time // when an attempt last got anything
	answered time.Time // when an attempt was last answered
	youngest time.Time // when the youngest of the answered attempts had begun
	hellos   semaphore // that wait for an answer
}

// hangs reports whether w waits in vain. A machine that is merely slow answers other attempts meanwhile, in
// about the order in which they came. So w hangs if none was answered since it began, or one that began much
// later.
func (a *addrWaiters) hangs(w *waiter, now time.Time) bool {
	return !w.since.IsZero() && w.waited+now.Sub(w.since) >= silentGrace &&
		(a.answered.Before(w.began) || a.youngest.Sub(w.began) >= silentGrace)
}

// waiter is one attempt. One goroutine uses its methods. Nil bounds nothing.
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

// join adds an attempt. If that makes too many, it ends silent ones. The caller calls leave.
func (s *waiters) join(addr string, end func(error)) *waiter {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAddr == nil {
		s.byAddr = map[string]*addrWaiters{}
	}
	a := s.byAddr[addr]
	if a == nil {
		a = &addrWaiters{addr: addr, hellos: make(semaphore, maxHellos)}
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

// mayGreet waits until the address may get another ClientHello. It returns false if that was not before
// deadline.
func (w *waiter) mayGreet(ctx context.Context, deadline time.Time) bool {
	if w == nil {
		return true
	}
	p := newPermit(ctx, w.at.hellos, deadline)
	if p.acquire() != nil {
		return false
	}
	release := sync.OnceFunc(p.release)
	timer := time.AfterFunc(helloGrace, release)
	w.endHello = func() {
		timer.Stop()
		release()
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
	w.at.heard, w.waiters.heard = w.at.answered, w.at.answered
	if w.began.After(w.at.youngest) {
		w.at.youngest = w.began
	}
}

// heard says that the peer has answered SSLRequest.
func (w *waiter) heard() {
	if w == nil {
		return
	}
	w.waiters.mu.Lock()
	defer w.waiters.mu.Unlock()
	w.at.heard = time.Now()
	w.waiters.heard = w.at.heard
}

// expect says that a hello was sent that may vanish, and that its answer has that much time.
func (w *waiter) expect(patience time.Duration) {
	if w == nil {
		return
	}
	w.waiters.mu.Lock()
	defer w.waiters.mu.Unlock()
	if until := time.Now().Add(patience); until.After(w.waiters.expecting) {
		w.waiters.expecting = until
	}
}

// startWait says that the attempt waits for its peer from now on.
func (w *waiter) startWait() {
	if w == nil {
		return
	}
	w.waiters.mu.Lock()
	defer w.waiters.mu.Unlock()
	w.since = time.Now()
}

// stopWait says that the attempt does not wait any more.
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
	if w == nil {
		return
	}
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
