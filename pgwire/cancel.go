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

const (
	// cancelTimeout bounds a cancel request, if LoginTimeout does not do so earlier. It has
	// room for a slow dial and for pgbouncer, which may wait ten seconds for a connection.
	cancelTimeout = 20 * time.Second

	// maxOwnedCancels is how many cancel requests for sessions of this server are on their
	// way at one time, and maxOwnedWaiting how many more may wait.
	maxOwnedCancels = 128
	maxOwnedWaiting = 4096
	// maxSessionCancels is how many of those may be for one session. One more waits; it has
	// not been sent yet, so it does the work of any others, which are closed at once.
	maxSessionCancels = 2
	// maxStrangeCancels is how many with keys of no session are on their way at one time,
	// and maxStrangersWaiting how many more may wait. They cannot be told from invented ones.
	maxStrangeCancels   = 4
	maxStrangersWaiting = 16
)

// cancelKeys leads from a key (process ID and secret) to the running session
// that owns it, and so to the upstream address which knows the key: behind a
// name with several addresses, the others do not.
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
	// Two upstreams may hand out the same key; the younger session has it then.
	if k.owners[key] == owner {
		delete(k.owners, key)
	}
}

// find returns nil for a key that no running session has, else its owner, the line of
// cancel requests for it, and the address that knows the key.
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

// cancelLanes keep cancel requests with invented keys out of the way of those for sessions of this server.
type cancelLanes struct{ owned, unknown semaphore }

// acquire waits for the turn of a cancel request. owner is nil if no session has its key. Without error the caller
// calls release.
func (c *cancelLanes) acquire(ctx context.Context, owner *session, room *Capacity) (release func(), err error) {
	if owner == nil {
		err := c.unknown.acquire(ctx, room.share(8, maxStrangeCancels), room.share(8, maxStrangersWaiting))
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

// forwardCancel sends a CancelRequest over a new verified connection to the address
// of the session that owns its key, or to the first upstream if none does: this
// process may have been restarted. The client is held until the upstream
// closes, for that is the only acknowledgement which the protocol has; nothing
// more is read from it, and it never gets an answer.
func (s *session) forwardCancel(packet startupPacket) error {
	owner, target := s.server.keys.find(packet.cancelKey())
	s.info.CancelKnown = owner != nil
	s.server.Trace.started(s.info)

	limit := min(cancelTimeout, s.server.loginTimeout())
	defer time.AfterFunc(limit, func() {
		s.end(&Error{Kind: ReasonLoginTimeout, Text: fmt.Sprintf("the cancel request took longer than %v", limit)})
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

// tooManyCancels describes a cancel request that is not forwarded.
func tooManyCancels(known bool) error {
	text := "too many cancel requests with unknown keys are on their way"
	if known {
		text = "too many cancel requests are on their way, for this session or for all together"
	}
	return &Error{Kind: ReasonTooManySessions, Text: text}
}

// deliverCancel sends the packet, waits for the upstream to close and has the effect on owner observed.
func (s *session) deliverCancel(packet startupPacket, owner *session) error {
	s.phase.Store(int32(PhaseRelay))
	var watch *cancelWatch
	if owner != nil && s.server.Trace.observesCancels() {
		watch = owner.tracker.watchCancel(func(effect CancelEffect) {
			s.server.Trace.cancelSettled(s.info, owner.info.ID, effect)
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
