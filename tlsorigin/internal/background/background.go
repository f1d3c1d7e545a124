// Package background runs goroutines, ends them and waits for them.
package background

import (
	"context"
	"sync"
)

// Group is a set of goroutines with one context. New makes it; Close ends it.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// New returns an empty Group.
func New() *Group {
	g := new(Group)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Context returns the context of the goroutines. It ends with Close.
func (g *Group) Context() context.Context { return g.ctx }

// Start runs f in a goroutine. It returns false, and runs nothing, if g is closed.
func (g *Group) Start(f func(context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.running.Go(func() { f(g.ctx) })
	}
	return !g.closed
}

// Close ends the context and waits for all goroutines. It may be called again.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.running.Wait()
}
