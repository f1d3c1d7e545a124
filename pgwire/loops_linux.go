package pgwire

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// loops are the event loops of the process: its servers share them as they share its processors.
//
//nolint:gochecknoglobals // see above
var loops loopSet

// loopSet starts a loop when there are sessions for it. A loop ends some time
// after its last session. There is one loop less than there are processors, so
// that one is left for what is done on goroutines.
type loopSet struct {
	mu      sync.Mutex
	running []*loop
	logins  atomic.Int64 // sessions that are connecting or logging in, on goroutines
}

// add gives c to the loop with the fewest sessions.
func (s *loopSet) add(c *conduit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var least *loop
	for _, l := range s.running {
		if least == nil || l.sessions.Load() < least.sessions.Load() {
			least = l
		}
	}
	processors := runtime.GOMAXPROCS(0)
	if least == nil || least.sessions.Load() > 0 && len(s.running) < processors-1 {
		started, err := newLoop(processors > 1)
		if err != nil {
			return err
		}
		s.running = append(s.running, started)
		least = started
		go started.run()
	}
	return least.add(c)
}

// retire closes l if it still has no session, and reports whether it did.
func (s *loopSet) retire(l *loop) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.sessions.Load() > 0 {
		return false
	}
	s.running = slices.DeleteFunc(s.running, func(running *loop) bool { return running == l })
	l.close()
	return true
}
