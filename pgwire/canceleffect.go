package pgwire

import "time"

// CancelEffect is what followed a cancel request on the session that it was for.
type CancelEffect string

// The effects.
const (
	CancelCanceled CancelEffect = "canceled" // the upstream said 57014, query_canceled
	CancelFinished CancelEffect = "finished" // the query ended in another way
	CancelNone     CancelEffect = "none"     // nothing within cancelEffectWait: the query goes on, or there was none
)

// CancelEffects returns all of them.
func CancelEffects() []CancelEffect {
	return []CancelEffect{CancelCanceled, CancelFinished, CancelNone}
}

const (
	// cancelEffectWait is how long an effect is waited for, from the upstream's
	// acknowledgement on. PostgreSQL signals the session before it acknowledges.
	cancelEffectWait = 3 * time.Second
	// maxCancelWatches bounds for how many cancel requests of one session the effect is waited for.
	maxCancelWatches = 4
	// maxErrorRead is how much of an ErrorResponse is read for its SQLSTATE, which stands before all that may
	// be long.
	maxErrorRead = 64
)

// cancelWatches are the cancel requests of one session whose effect is not known yet.
// They look into ErrorResponse messages, and only while there are any. The
// txTracker that they are part of guards them.
type cancelWatches struct {
	waiting []*cancelWatch
	reading bool   // the body of an ErrorResponse comes next
	body    []byte // of it
}

// cancelWatch waits for the effect of one cancel request; nil does nothing.
type cancelWatch struct {
	tracker *txTracker
	settled func(CancelEffect)
	timer   *time.Timer
	effect  CancelEffect
	known   bool // and about to be reported
}

// watchCancel begins to look for the effect of a cancel request that is about to be sent,
// and returns nil if there are too many. settled is called once, unless the request was not delivered.
func (t *txTracker) watchCancel(settled func(CancelEffect)) *cancelWatch {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.cancels.waiting) >= maxCancelWatches {
		return nil
	}
	w := &cancelWatch{tracker: t, settled: settled, effect: CancelNone}
	w.timer = time.AfterFunc(cancelTimeout+cancelEffectWait, w.end)
	t.cancels.waiting = append(t.cancels.waiting, w)
	return w
}

// delivered says whether the upstream has acknowledged the request.
func (w *cancelWatch) delivered(ok bool) {
	if w == nil {
		return
	}
	w.tracker.mu.Lock()
	defer w.tracker.mu.Unlock()
	switch {
	case w.known:
	case !ok:
		w.timer.Stop()
		w.tracker.cancels.remove(w)
	default:
		w.timer.Reset(cancelEffectWait)
	}
}

// end reports the effect.
func (w *cancelWatch) end() {
	w.tracker.mu.Lock()
	w.tracker.cancels.remove(w)
	effect := w.effect
	w.known = true
	w.tracker.mu.Unlock()
	w.settled(effect)
}

func (c *cancelWatches) remove(w *cancelWatch) {
	for i := range c.waiting {
		if c.waiting[i] == w {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return
		}
	}
}

// settle makes every watch report effect, on a goroutine of its own.
func (c *cancelWatches) settle(effect CancelEffect) {
	for _, w := range c.waiting {
		w.effect, w.known = effect, true
		if w.timer.Stop() {
			w.timer.Reset(0)
		}
	}
	*c = cancelWatches{}
}

// begins takes note of a message of the upstream whose header has come.
func (c *cancelWatches) begins(kind byte) {
	if c.waiting != nil && kind == typeErrorResponse {
		c.reading, c.body = true, c.body[:0]
	}
}

// read looks at p, of which the first left bytes belong to the present message.
func (c *cancelWatches) read(p []byte, left uint32) {
	if !c.reading {
		return
	}
	n := min(int64(left), int64(len(p)))
	c.body = append(c.body, p[:min(n, int64(maxErrorRead-len(c.body)))]...)
	if n < int64(left) && len(c.body) < maxErrorRead {
		return
	}
	c.reading = false
	if errorField(append(c.body, 0), 'C') == stateQueryCanceled {
		c.settle(CancelCanceled)
	}
}

// abandonCancels ends the watches of a session that is over.
func (t *txTracker) abandonCancels() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancels.settle(CancelNone)
}
