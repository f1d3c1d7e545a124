package observe

import (
	"sync"
	"time"
)

const (
	// fullLines of one kind are logged in full within one repeatPeriod; the rest of them is counted.
	fullLines    = 10
	repeatPeriod = time.Minute
)

// repeats keeps a failure that repeats itself, such as an upstream that is down while an application tries
// again and again, from filling the log. The zero value lets everything pass until its first period is over.
type repeats struct {
	// leftOut runs at the end of a period in which some lines of that kind were left out.
	leftOut func(kind string, count int)

	mu   sync.Mutex
	runs map[string]*repeatRun // by kind, those whose period has not ended
}

// repeatRun is one period of one kind. Its timer runs only while there is something to sum up or forget:
// nothing ticks in a process in which nothing fails.
type repeatRun struct {
	seen  int
	timer *time.Timer
}

// admit reports whether a line of that kind is to be written, and counts it.
func (r *repeats) admit(kind string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.runs[kind]
	if run == nil {
		if r.runs == nil {
			r.runs = map[string]*repeatRun{}
		}
		run = new(repeatRun)
		run.timer = time.AfterFunc(repeatPeriod, func() { r.finish(kind, run) })
		r.runs[kind] = run
	}
	run.seen++
	return run.seen <= fullLines
}

// finish ends a period and says what was left out.
func (r *repeats) finish(kind string, run *repeatRun) {
	r.mu.Lock()
	current := r.runs[kind] == run
	if current {
		delete(r.runs, kind)
	}
	seen := run.seen
	r.mu.Unlock()
	if current && seen > fullLines {
		r.leftOut(kind, seen-fullLines)
	}
}

// Flush ends all periods now: a process that ends takes no count with it.
func (r *repeats) Flush() {
	r.mu.Lock()
	runs := r.runs
	r.runs = nil
	r.mu.Unlock()
	for kind, run := range runs {
		run.timer.Stop()
		if run.seen > fullLines {
			r.leftOut(kind, run.seen-fullLines)
		}
	}
}
