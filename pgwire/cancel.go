package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// MaxCancels is how many cancel requests for the sessions of one server are on their way at one time.
const MaxCancels = 128

const (
	// cancelTimeout bounds a cancel request, if LoginTimeout is not shorter. There is time for a slow dial,
	// and for pgbouncer, which may wait ten seconds for a connection.
	cancelTimeout = 20 * time.Second

	// maxOwnedWaiting is how many more may wait.
	maxOwnedWaiting = 4096
	// maxSessionCancels is how many of the MaxCancels may be for one session. One more waits. It has not been
	// sent, so it will have the effect of any later one; later ones are closed at once.
	maxSessionCancels = 2
	// maxUnknownCancels is how many with keys of no session are on their way at one time, and
	// maxUnknownWaiting how many more may wait. Anybody can invent such keys.
	maxUnknownCancels = 4
	maxUnknownWaiting = 16
)

// cancelKeys leads from a key (process ID and secret) to the session that has it. The upstream address of
// that session is the one that knows the key: a name may have several addresses.
type cancelKeys struct {
	mu     sync.Mutex
	owners map[string]*session
}

func (k *cancelKeys) add(key string, owner *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.owners == nil {
		k.owners = make(map[string]*session)
	}
	k.owners[key] = owner
}

func (k *cancelKeys) remove(key string, owner *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	// Two upstreams may hand out the same key. Then the younger session has it.
	if k.owners[key] == owner {
		delete(k.owners, key)
	}
}

// find returns the session that has a key, and the address that knows the key. Both are nil if there is no
// such session.
func (k *cancelKeys) find(key string) (owner *session, target net.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if owner = k.owners[key]; owner == nil {
		return nil, nil
	}
	if owner.cancels == nil {
		owner.cancels = new(semaphore)
	}
	return owner, owner.upstream.RemoteAddr()
}

// cancelLimits bound cancel requests. Requests with invented keys do not hold up those for sessions of this
// server.
type cancelLimits struct{ owned, unknown semaphore }

// acquire waits for the turn of a cancel request. owner is nil if no session has its key. Without error the
// caller calls release.
func (c *cancelLimits) acquire(
	ctx context.Context, owner *session, room *Capacity,
) (release func(), err error) {
	if owner == nil {
		err := c.unknown.acquire(ctx, room.share(8, maxUnknownCancels), room.share(8, maxUnknownWaiting))
		return c.unknown.release, err
	}
	if err := owner.cancels.acquire(ctx, maxSessionCancels, 1); err != nil {
		return nil, err
	}
	if err := c.owned.acquire(ctx, room.cancels(), room.share(4, maxOwnedWaiting)); err != nil {
		owner.cancels.release()
		return nil, err
	}
	return func() {
		c.owned.release()
		owner.cancels.release()
	}, nil
}

// forwardCancel sends a CancelRequest over a new verified connection, to the address of the session that has
// its key. If there is no such session, it goes to the first upstream: this process may have been restarted.
// The connection to the client stays open until the upstream closes, because the protocol has no other
// acknowledgement. Nothing more is read from the client, and it never gets an answer.
func (s *session) forwardCancel(packet startupPacket) error {
	owner, target := s.server.keys.find(packet.cancelKey())
	s.info.CancelKnown = owner != nil
	s.server.Trace.started(s.info)

	limit := min(cancelTimeout, s.server.loginTimeout())
	defer time.AfterFunc(limit, func() {
		text := fmt.Sprintf("the cancel request took longer than %v", limit)
		s.end(&Error{Kind: ReasonLoginTimeout, Text: text})
	}).Stop()
	release, err := s.server.cancels.acquire(s.ctx, owner, s.server.capacity())
	if errors.Is(err, errQueueFull) {
		return tooManyCancels(owner != nil)
	}
	if err != nil {
		return err
	}
	defer release()
	err = s.connect(func(ctx context.Context) (Upstream, error) { return s.server.Dial(ctx, target) })
	if err != nil {
		return err
	}
	if err := s.deliverCancel(packet, owner); err != nil {
		return s.causeOf(upstreamLost(PhaseRelay, err))
	}
	return nil
}

// tooManyCancels describes a cancel request that finds no place. known: a session has its key.
func tooManyCancels(known bool) error {
	text := "too many cancel requests with unknown keys are on their way"
	if known {
		text = "too many cancel requests are on their way, for this session or for all together"
	}
	return &Error{Kind: ReasonTooManySessions, Text: text}
}

// deliverCancel sends the packet and waits for the upstream to close. Trace learns the effect on owner, if
// there is one.
func (s *session) deliverCancel(packet startupPacket, owner *session) error {
	s.phase.Store(int32(PhaseRelay))
	var watch *cancelWatch
	if owner != nil && s.server.Trace.observesCancels() {
		watch = owner.tracker.watchCancel(func(effect CancelEffect) {
			s.server.Trace.cancelEffect(s.info, owner.info.ID, effect)
		})
	}
	n, err := s.upstream.Write(packet.raw)
	s.toUpstream.Store(int64(n))
	if err == nil {
		_, err = io.Copy(io.Discard, s.upstream)
	}
	watch.delivered(err == nil)
	return err
}

// CancelEffect is what happened in a session after a cancel request for it.
type CancelEffect string

// The effects.
const (
	CancelCanceled CancelEffect = "canceled" // the upstream said 57014, query_canceled
	CancelFinished CancelEffect = "finished" // the query ended in another way
	CancelNone     CancelEffect = "none"     // nothing within three seconds, perhaps because no query ran
)

// CancelEffects returns all of them.
func CancelEffects() []CancelEffect {
	return []CancelEffect{CancelCanceled, CancelFinished, CancelNone}
}

const (
	// cancelEffectWait is how long to wait for an effect after the upstream's acknowledgement. PostgreSQL
	// signals the session before it acknowledges.
	cancelEffectWait = 3 * time.Second
	// maxCancelWatches bounds how many cancel requests of one session wait for their effect.
	maxCancelWatches = 4
	// maxErrorRead is how much of an ErrorResponse is read for its SQLSTATE, which comes before the long
	// fields.
	maxErrorRead = 64
)

// cancelWatches are the cancel requests of one session whose effect is not known yet. While there are any,
// they read the SQLSTATE of ErrorResponse messages. The mutex of their txTracker guards them.
type cancelWatches struct {
	waiting []*cancelWatch
	reading bool // the body of an ErrorResponse comes next
}

// cancelWatch waits for the effect of one cancel request. A nil one does nothing.
type cancelWatch struct {
	tracker *txTracker
	report  func(CancelEffect)
	timer   *time.Timer
	effect  CancelEffect
	known   bool // and about to be reported
}

// watchCancel begins to look for the effect of a cancel request that is about to be sent, and returns nil if
// there are too many. report is called once, unless the request is not delivered.
func (t *txTracker) watchCancel(report func(CancelEffect)) *cancelWatch {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.cancels.waiting) >= maxCancelWatches {
		return nil
	}
	w := &cancelWatch{tracker: t, report: report, effect: CancelNone}
	w.timer = time.AfterFunc(cancelTimeout+cancelEffectWait, w.end)
	t.cancels.waiting = append(t.cancels.waiting, w)
	return w
}

// delivered is called when the upstream has acknowledged the request, or with false if it was not delivered.
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
	w.report(effect)
}

func (c *cancelWatches) remove(w *cancelWatch) {
	for i := range c.waiting {
		if c.waiting[i] == w {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return
		}
	}
}

// reportAll makes every watch report effect, on a goroutine of its own, and removes it.
func (c *cancelWatches) reportAll(effect CancelEffect) {
	for _, w := range c.waiting {
		w.effect, w.known = effect, true
		if w.timer.Stop() {
			w.timer.Reset(0)
		}
	}
	*c = cancelWatches{}
}

// read looks at the body of an ErrorResponse, as far as it has come.
func (c *cancelWatches) read(body []byte, whole bool) {
	if !whole && len(body) < maxErrorRead {
		return
	}
	c.reading = false
	if errorField(append(body[:len(body):len(body)], 0), 'C') == stateQueryCanceled {
		c.reportAll(CancelCanceled)
	}
}

// abandonCancels ends the watches of a session that is over.
func (t *txTracker) abandonCancels() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancels.reportAll(CancelNone)
}
