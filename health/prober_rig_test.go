package health

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var refused = &Problem{Reason: "upstream_refused", Text: "upstream db:6432: nobody listens there", Cure: "start it"}

// upstream is what a Prober tries in these tests.
type upstream struct {
	takes time.Duration

	mu      sync.Mutex
	problem *Problem
	tries   []time.Time
	changes []string // of the Prober's state
}

func (u *upstream) try(ctx context.Context) *Problem {
	u.mu.Lock()
	u.tries = append(u.tries, time.Now())
	u.mu.Unlock()
	select { // without the lock: a bubble's clock stands still while somebody waits for one
	case <-time.After(u.takes):
	case <-ctx.Done():
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.problem
}

func (u *upstream) becomes(problem *Problem) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.problem = problem
}

func (u *upstream) tried() []time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.tries)
}

// run lets a prober of u run in the bubble; stop ends it.
func (u *upstream) run(t *testing.T, once bool) (p *Prober, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p = &Prober{Try: u.try, Changed: func(probe Probe) { u.changes = append(u.changes, probe.State) }}
	go p.Run(ctx, once)
	return p, func() { cancel(); synctest.Wait() }
}

// pass lets time go by, and then whatever is due be done.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func isUp(p *Prober) bool { _, err := p.Up(); return err == nil }
