package pgwire

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// errLineFull says that too many wait already.
var errLineFull = errors.New("too many are waiting")

// line is a semaphore with a line in front of it, first come first served. The zero value has everything free.
type line struct {
	mu      sync.Mutex
	inside  int
	waiting list.List // of chan struct{}, closed when its owner is inside
}

// enter takes one of places, or waits for one unless room others wait already. Negative room means that any number may
// wait. Without error the caller calls leave. The error is errLineFull or that of ctx.
func (l *line) enter(ctx context.Context, places, room int) error {
	l.mu.Lock()
	if l.inside < places && l.waiting.Len() == 0 {
		l.inside++
		l.mu.Unlock()
		return nil
	}
	if room >= 0 && l.waiting.Len() >= room {
		l.mu.Unlock()
		return errLineFull
	}
	called := make(chan struct{})
	place := l.waiting.PushBack(called)
	l.mu.Unlock()
	select {
	case <-called:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-called: // in this moment: somebody else may have it
		l.passOn()
	default:
		l.waiting.Remove(place)
	}
	return context.Cause(ctx)
}

func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passOn()
}

// passOn gives a place that is free to the first who waits; l.mu is held.
func (l *line) passOn() {
	first := l.waiting.Front()
	if first == nil {
		l.inside--
		return
	}
	close(l.waiting.Remove(first).(chan struct{}))
}
