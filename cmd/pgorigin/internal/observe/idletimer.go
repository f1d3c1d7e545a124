package observe

import (
	"sync"
	"time"
)

// IdleTimer expires when there has been no session for a while, after there was one. A nil IdleTimer never
// expires.
type IdleTimer struct {
	// Busy reports whether clients wait for an upstream that is away. Nil means that none does.
	Busy func() bool

	after   time.Duration
	expired chan struct{}

	mu    sync.Mutex
	open  int         // sessions with an upstream connection, of all origins
	used  bool        // a client has logged in
	since time.Time   // the end of the last session
	timer *time.Timer // nil before the first end of a session
}

// NewIdleTimer returns nil, which never expires, if after is zero.
func NewIdleTimer(after time.Duration) *IdleTimer {
	if after == 0 {
		return nil
	}
	return &IdleTimer{after: after, expired: make(chan struct{}, 1)}
}

// Expired returns a channel that receives when the timer expires.
func (t *IdleTimer) Expired() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.expired
}

// SessionBegan counts a session that has an upstream connection. Port checks and refused clients have none.
func (t *IdleTimer) SessionBegan() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
	if t.timer != nil {
		t.timer.Stop()
	}
}

// LoggedIn notes the first login. Before it the timer does not run: an application may wait for its database.
func (t *IdleTimer) LoggedIn() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used = true
}

// SessionEnded uncounts a session.
func (t *IdleTimer) SessionEnded() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	if t.open > 0 || !t.used {
		return
	}
	t.since = time.Now()
	if t.timer == nil {
		t.timer = time.AfterFunc(t.after, t.expire)
		return
	}
	t.timer.Reset(t.after)
}

// expire runs when the timer fires. A session may have begun at the same moment. A client that waits will be a
// session, so the time begins anew.
func (t *IdleTimer) expire() {
	busy := t.Busy != nil && t.Busy()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open > 0 || time.Since(t.since) < t.after {
		return
	}
	if busy {
		t.since = time.Now()
		t.timer.Reset(t.after)
		return
	}
	select {
	case t.expired <- struct{}{}:
	default: // nobody has received the last one
	}
}
