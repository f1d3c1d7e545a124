package pgwire

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// errLineFull says that too many wait already.
var errLineFull = errors.New("too many are waiting")

// line is a semaphore with a line in front of it, first come first served. The zero value has everything
// free.
type line struct {
	mu      sync.Mutex
	inside  int
	waiting list.List // of *waiter
}

// waiter is a place in a line.
type waiter struct {
	called chan struct{} // closed when its owner is inside
	place  *list.Element
}

// enter takes one of places, or waits for one unless room others wait already. Negative room means that any
// number may wait. Without error the caller calls leave. The error is errLineFull or the cause of ctx's end.
func (l *line) enter(ctx context.Context, places, room int) error {
	w, err := l.join(places, room)
	if w == nil {
		return err
	}
	select {
	case <-w.called:
		return nil
	case <-ctx.Done():
		l.abandon(w)
		return context.Cause(ctx)
	}
}

// join is enter that does not wait. Without waiter and error the caller is inside.
func (l *line) join(places, room int) (*waiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inside < places && l.waiting.Len() == 0 {
		l.inside++
		return nil, nil
	}
	if room >= 0 && l.waiting.Len() >= room {
		return nil, errLineFull
	}
	w := &waiter{called: make(chan struct{})}
	w.place = l.waiting.PushBack(w)
	return w, nil
}

// abandon gives up the place of a waiter, or what it was called to in this moment.
func (l *line) abandon(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.called:
		l.passOn()
	default:
		l.waiting.Remove(w.place)
	}
}

func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passOn()
}

// passOn gives a free place to the first waiter; l.mu is held.
func (l *line) passOn() {
	if first := l.waiting.Front(); first != nil {
		close(l.waiting.Remove(first).(*waiter).called)
		return
	}
	l.inside--
}
