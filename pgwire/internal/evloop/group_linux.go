package evloop

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Group is a set of loops. It starts a loop when there are relays for it; a loop ends some time after its
// last relay. There is one loop less than there are processors: one is left for goroutines. The zero value is
// ready to use.
type Group struct {
	mu      sync.Mutex
	running []*loop
	busy    atomic.Int64
}

// Busy adds delta to the work that goroutines have to do meanwhile. While there is any, loops tell the
// scheduler that they wait.
func (g *Group) Busy(delta int64) { g.busy.Add(delta) }

// Add has the loop with the fewest relays run r between two sockets. p is part of r. After an error the
// sockets are not watched.
func (g *Group) Add(p *Pair, r Relay, first, second *Socket) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var least *loop
	for _, l := range g.running {
		if least == nil || l.relays.Load() < least.relays.Load() {
			least = l
		}
	}
	processors := runtime.GOMAXPROCS(0)
	if least == nil || least.relays.Load() > 0 && len(g.running) < processors-1 {
		started, err := newLoop(g, processors > 1)
		if err != nil {
			return err
		}
		g.running = append(g.running, started)
		least = started
		go started.run()
	}
	p.relay, p.sockets = r, [2]*Socket{first, second}
	return least.add(p)
}

// closeIdle closes l if it still has no relay, and reports whether it did.
func (g *Group) closeIdle(l *loop) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.relays.Load() > 0 {
		return false
	}
	g.running = slices.DeleteFunc(g.running, func(running *loop) bool { return running == l })
	l.close()
	return true
}
