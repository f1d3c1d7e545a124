package observe

import (
	"sync"
	"time"
)

// IdleWatch tells when there has been no session for a while, after there was one. Nothing runs meanwhile
// but, between the last session and that moment, a timer. A nil idleWatch never tells.
type IdleWatch struct {
	after   time.Duration
	expired chan struct{}

	mu    sync.Mutex
	open  int         // sessions that have an upstream leg, of all origins
	used  bool        // somebody has logged in
	since time.Time   // when the last of them ended
	timer *time.Timer // nil until then
}

// NewIdleWatch returns nil for zero, which is never.
func NewIdleWatch(after time.Duration) *IdleWatch {
	if after == 0 {
		return nil
	}
	return &IdleWatch{after: after, expired: make(chan struct{}, 1)}
}

// Idle receives once the time is over.
func (w *IdleWatch) Idle() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.expired
}

// Began counts a session whose upstream leg is there. Port checks, and clients that are refused, never come
// so far.
func (w *IdleWatch) Began() {
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

// LoggedIn notes that there has been a session: logins that fail while the application waits for its database
// are none.
func (w *IdleWatch) LoggedIn() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used = true
}

// Ended takes back one began.
func (w *IdleWatch) Ended() {
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
func (w *IdleWatch) look() {
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
