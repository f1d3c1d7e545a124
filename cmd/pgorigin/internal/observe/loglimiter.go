package observe

import (
	"sync"
	"time"
)

const (
	// logBurst is how many lines of one kind are logged within one logPeriod. The others are counted.
	logBurst  = 10
	logPeriod = time.Minute
)

// logLimiter suppresses log lines that repeat, for example while an upstream is down and an application
// retries.
type logLimiter struct {
	// suppressed is called at the end of a period in which lines of that kind were suppressed.
	suppressed func(kind string, left suppressed)

	mu      sync.Mutex
	periods map[string]*limitPeriod // by kind; may be nil
}

// suppressed is what was left out in one period. A client may have been told the number of its session, so the
// first and the last of those numbers are kept. They are zero for lines that are about no session.
type suppressed struct {
	count                     int
	firstSession, lastSession uint64
}

// limitPeriod counts the lines of one kind in one period. It begins with the first line, so that no timer
// runs in a process without failures.
type limitPeriod struct {
	lines int
	left  suppressed
	timer *time.Timer
}

// admit counts a line of that kind and reports whether to log it. session is its number, or zero.
func (l *logLimiter) admit(kind string, session uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.periods[kind]
	if p == nil {
		if l.periods == nil {
			l.periods = map[string]*limitPeriod{}
		}
		p = new(limitPeriod)
		p.timer = time.AfterFunc(logPeriod, func() { l.finish(kind, p) })
		l.periods[kind] = p
	}
	p.lines++
	if p.lines <= logBurst {
		return true
	}
	if p.left.count == 0 {
		p.left.firstSession = session
	}
	p.left.count++
	p.left.firstSession = min(p.left.firstSession, session)
	p.left.lastSession = max(p.left.lastSession, session)
	return false
}

// finish ends p, unless flush has ended it.
func (l *logLimiter) finish(kind string, p *limitPeriod) {
	l.mu.Lock()
	current := l.periods[kind] == p
	if current {
		delete(l.periods, kind)
	}
	left := p.left
	l.mu.Unlock()
	if current && left.count > 0 {
		l.suppressed(kind, left)
	}
}

// flush ends all periods, because the process ends.
func (l *logLimiter) flush() {
	l.mu.Lock()
	periods := l.periods
	l.periods = nil
	l.mu.Unlock()
	for kind, p := range periods {
		p.timer.Stop()
		if p.left.count > 0 {
			l.suppressed(kind, p.left)
		}
	}
}
