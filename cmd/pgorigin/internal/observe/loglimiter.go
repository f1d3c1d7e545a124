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
	suppressed func(kind string, count int)

	mu      sync.Mutex
	periods map[string]*limitPeriod // by kind; may be nil
}

// limitPeriod counts the lines of one kind in one period. It begins with the first line, so that no timer
// runs in a process without failures.
type limitPeriod struct {
	lines int
	timer *time.Timer
}

// admit counts a line of that kind and reports whether to log it.
func (l *logLimiter) admit(kind string) bool {
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
	return p.lines <= logBurst
}

// finish ends p, unless flush has ended it.
func (l *logLimiter) finish(kind string, p *limitPeriod) {
	l.mu.Lock()
	current := l.periods[kind] == p
	if current {
		delete(l.periods, kind)
	}
	lines := p.lines
	l.mu.Unlock()
	if current && lines > logBurst {
		l.suppressed(kind, lines-logBurst)
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
		if p.lines > logBurst {
			l.suppressed(kind, p.lines-logBurst)
		}
	}
}
