package health

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	defaultProbeInterval = 15 * time.Second
	defaultProbeFailures = 3

	// firstRetry is how soon a probe follows that has never succeeded; the pause doubles up to the interval. At the start
	// of a pod the network is often there a moment later.
	firstRetry = time.Second
)

// Prober remembers whether an upstream can be reached and, while Run runs, tries it when nobody else has done so for an
// interval. The result is cached: no request ever waits for one. The exported fields must not be changed after first use.
type Prober struct {
	// Try makes a verified connection and ends it again. It returns nil, or why there was none, and comes to an end by
	// itself. Only Run needs it.
	Try func(context.Context) *Problem

	// Interval is the time from the beginning of one try to that of the next. Up to a fifth is taken off by chance, so that
	// pods do not probe in step, and nothing is added, so that a recovery is noticed within one interval. Zero means 15s.
	Interval time.Duration

	// Failures is how many in a row, at most one of which counts in each interval, make the upstream count as down. Zero
	// means 3. One success makes it up again.
	Failures int

	// Changed is told when the state becomes another one. Nil means that nobody is. It must not call the Prober.
	Changed func(Probe)

	mu      sync.Mutex
	probe   Probe     // IntervalSeconds apart
	due     time.Time // of the next try
	failing time.Time // the first failure in a row
	counted time.Time // the last one that counted; zero: none did
	tries   int       // of Run
}

// Run probes until ctx ends. If once is set, it ends with the first success, whoever had it.
func (p *Prober) Run(ctx context.Context, once bool) {
	p.setActive(true)
	defer p.setActive(false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if wait, verified := p.untilDue(); verified && once {
			return
		} else if wait > 0 { // a session has made a probe unnecessary for a while
			timer.Reset(wait)
			continue
		}
		start := time.Now()
		problem := p.Try(ctx)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.tries++
		p.mu.Unlock()
		p.note(problem, start, time.Since(start))
		timer.Reset(0)
	}
}

func (p *Prober) setActive(active bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probe.Active = active
}

// untilDue returns how long no probe is needed, and whether there ever was a success.
func (p *Prober) untilDue() (wait time.Duration, verified bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.due), !p.probe.LastSuccess.IsZero()
}

// Observed notes how the connection of a session came about: nil, or why it did not. That is as good as a probe.
func (p *Prober) Observed(problem *Problem, took time.Duration) {
	p.note(problem, time.Now().Add(-took), took)
}

// note takes in the result of a try.
func (p *Prober) note(problem *Problem, start time.Time, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := start.Add(took).UTC()
	before := p.probe.State
	p.probe.LastTry, p.probe.TookSeconds, p.probe.Problem = end, took.Seconds(), problem
	if problem == nil {
		p.probe.LastSuccess, p.probe.Failures, p.counted = end, 0, time.Time{}
		p.enter(ProbeUp, end)
	} else {
		p.failed(start, end)
	}
	// A try that took long is not followed at once by the next.
	p.due = later(start.Add(p.pause()), end.Add(min(firstRetry, p.interval())))
	if p.probe.State != before && p.Changed != nil {
		p.Changed(p.snapshot())
	}
}

// failed counts a failure; p.mu is held. A burst of clients that all fail at once is one failure, not many.
func (p *Prober) failed(start, end time.Time) {
	if p.probe.Failures == 0 {
		p.failing = end
	}
	if p.counted.IsZero() || start.Sub(p.counted) >= p.interval()-p.interval()/5 {
		p.counted = start
		p.probe.Failures++
	}
	if p.probe.LastSuccess.IsZero() || p.probe.Failures >= p.failures() {
		p.enter(ProbeDown, p.failing)
	}
}

// enter sets the state; p.mu is held.
func (p *Prober) enter(state string, at time.Time) {
	if p.probe.State != state {
		p.probe.State, p.probe.Since = state, at
	}
}

// pause is the time from the beginning of one try to that of the next; p.mu is held.
func (p *Prober) pause() time.Duration {
	pause := p.interval()
	if p.probe.LastSuccess.IsZero() {
		pause = min(pause, firstRetry<<min(max(p.tries-1, 0), 10))
	}
	return pause - rand.N(pause/5+1)
}

func (p *Prober) interval() time.Duration {
	if p.Interval == 0 {
		return defaultProbeInterval
	}
	return p.Interval
}

func (p *Prober) failures() int {
	if p.Failures == 0 {
		return defaultProbeFailures
	}
	return p.Failures
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Snapshot returns what is known.
func (p *Prober) Snapshot() Probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.snapshot()
}

// snapshot is called with p.mu held.
func (p *Prober) snapshot() Probe {
	probe := p.probe
	probe.IntervalSeconds = p.interval().Seconds()
	if probe.State == "" {
		probe.State = ProbeUnknown
	}
	return probe
}

// Up is a Check that holds while the upstream counts as up.
func (p *Prober) Up() (detail string, err error) {
	probe := p.Snapshot()
	switch probe.State {
	case ProbeUp:
		return probe.upText(time.Now()), nil
	case ProbeDown:
		return "", errors.New(probe.downText(time.Now()))
	}
	return "", errors.New("not tried yet")
}

// Verified is a Check that holds once there was a verified connection, whatever becomes of the upstream afterwards.
func (p *Prober) Verified() (detail string, err error) {
	if probe := p.Snapshot(); !probe.LastSuccess.IsZero() {
		return "", nil
	}
	return p.Up()
}

// Note says that the upstream is down, for who does not make readiness depend on it; else it is empty.
func (p *Prober) Note() string {
	if probe := p.Snapshot(); probe.State == ProbeDown {
		return probe.downText(time.Now())
	}
	return ""
}

func (p Probe) upText(now time.Time) string {
	text := fmt.Sprintf("verified %s ago", age(now, p.LastSuccess))
	if p.Problem != nil {
		text += fmt.Sprintf(", failed since: %s", p.Problem.Text)
	}
	return text
}

func (p Probe) downText(now time.Time) string {
	return fmt.Sprintf("%s (%s since %s, last try %s ago)",
		p.Problem.Text, p.Problem.Reason, p.Since.Format(time.RFC3339), age(now, p.LastTry))
}

// age is in whole seconds: nobody cares for more, and a golden file could not.
func age(now, then time.Time) time.Duration { return max(0, now.Sub(then)).Round(time.Second) }
