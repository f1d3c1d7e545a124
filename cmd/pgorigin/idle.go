package main

import (
	"sync"
	"time"
)

// idleWatch tells when there has been no session for a while, after there was one. Nothing runs meanwhile but, between
// the last session and that moment, a timer. A nil idleWatch never tells.
type idleWatch struct {
	after   time.Duration
	expired chan struct{}

	mu    sync.Mutex
	open  int         // sessions that have an upstream leg, of all origins
	used  bool        // somebody has logged in
	since time.Time   // when the last of them ended
	timer *time.Timer // nil until then
}

// newIdleWatch returns nil for zero, which is never.
func newIdleWatch(after time.Duration) *idleWatch {
	if after == 0 {
		return nil
	}
	return &idleWatch{after: after, expired: make(chan struct{}, 1)}
}

// idle receives once the time is over.
func (w *idleWatch) idle() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.expired
}

// began counts a session whose upstream leg is there. Port checks, and clients that are refused, never come so far.
func (w *idleWatch) began() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	if w.timer != nil {
		w.timer.Stop()
	}
}

// loggedIn notes that there has been a session: logins that fail while the application waits for its database are none.
func (w *idleWatch) loggedIn() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used = true
}

// ended takes back one began.
func (w *idleWatch) ended() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	if w.open > 0 || !w.used {
		return
	}
	w.since = time.Now()
	if w.timer == nil {
		w.timer = time.AfterFunc(w.after, w.look)
		return
	}
	w.timer.Reset(w.after)
}

// look runs when the timer does. There may have been a session since it did.
func (w *idleWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open > 0 || time.Since(w.since) < w.after {
		return
	}
	select {
	case w.expired <- struct{}{}:
	default: // it was told before
	}
}
