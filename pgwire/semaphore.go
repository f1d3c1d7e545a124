package pgwire

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// errQueueFull says that too many wait already.
var errQueueFull = errors.New("too many are waiting")

// semaphore is held by a limited number of sessions at one time. Others wait, first come first served. The
// zero value is held by none.
type semaphore struct {
	mu      sync.Mutex
	held    int
	waiting list.List // of *waiter
}

// waiter waits for a semaphore.
type waiter struct {
	acquired chan struct{} // closed when it holds the semaphore
	place    *list.Element
}

// acquire takes one of limit places, or waits for one unless maxWaiting wait already. If maxWaiting is
// negative, any number may wait. Without error the caller calls release. The error is errQueueFull or the
// cause of the end of ctx.
func (s *semaphore) acquire(ctx context.Context, limit, maxWaiting int) error {
	w, err := s.queue(limit, maxWaiting)
	if err != nil {
		return err
	}
	select {
	case <-w.acquired:
		return nil
	case <-ctx.Done():
		s.abandon(w)
		return context.Cause(ctx)
	}
}

// queue is acquire without waiting.
func (s *semaphore) queue(limit, maxWaiting int) (*waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &waiter{acquired: make(chan struct{})}
	switch waiting := s.waiting.Len(); {
	case s.held < limit && waiting == 0:
		s.held++
		close(w.acquired)
	case maxWaiting >= 0 && waiting >= maxWaiting:
		return nil, errQueueFull
	default:
		w.place = s.waiting.PushBack(w)
	}
	return w, nil
}

// abandon ends the wait. If w has just acquired a place, abandon frees it.
func (s *semaphore) abandon(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.acquired:
		s.passOn()
	default:
		s.waiting.Remove(w.place)
	}
}

func (s *semaphore) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passOn()
}

// passOn gives a free place to the first waiter; s.mu is held.
func (s *semaphore) passOn() {
	if first := s.waiting.Front(); first != nil {
		close(s.waiting.Remove(first).(*waiter).acquired)
		return
	}
	s.held--
}
