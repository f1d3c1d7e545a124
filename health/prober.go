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

	// firstRetry is the first pause between probes while none has succeeded. It doubles up to the interval.
	// When a pod starts, the network often works a moment later.
	firstRetry = time.Second
)

// Prober remembers whether an upstream can be reached. Sessions report their results by Observed. While Run
// runs, it probes if no session has connected for an interval. The result is cached, so no request waits for
// a probe. The exported fields must not be changed after first use.
type Prober struct {
	// Try makes a verified connection and closes it. It returns nil, or why it failed. It must return in
	// bounded time. Only Run needs it.
	Try func(context.Context) *Problem

	// Interval is the time from the start of one probe to the start of the next. A random part of up to a
	// fifth is taken off, so that pods do not probe in step. Zero means 15s.
	Interval time.Duration

	// Failures is the number of failures in a row after which the upstream is down. At most one counts in
	// each interval. One success makes it up again. Zero means 3.
	Failures int

	// Changed is called when the state changes. It must not call the Prober. Nil means no call.
	Changed func(Probe)

	mu      sync.Mutex
	probe   Probe     // without IntervalSeconds
	due     time.Time // of the next try
	failing time.Time // the first of the failures in a row
	counted time.Time // the last failure that counted; zero: none
	tries   int       // of Run
}

// Run probes until ctx ends. If once is set, it also ends after the first success of a probe or a session.
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
		} else if wait > 0 { // a session has connected
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

// untilDue returns the time until the next probe, and whether any try has succeeded.
func (p *Prober) untilDue() (wait time.Duration, verified bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.due), !p.probe.LastSuccess.IsZero()
}

// Observed records the result of a session's connection to the upstream: nil, or why it failed. It counts as
// a probe.
func (p *Prober) Observed(problem *Problem, took time.Duration) {
	p.note(problem, time.Now().Add(-took), took)
}

// note records the result of a try.
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
	// A long try is followed by a pause, too.
	p.due = later(start.Add(p.pause()), end.Add(min(firstRetry, p.interval())))
	if p.probe.State != before && p.Changed != nil {
		p.Changed(p.snapshot())
	}
}

// failed counts a failure. A burst of failing clients counts once. The caller holds p.mu.
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

// enter sets the state. The caller holds p.mu.
func (p *Prober) enter(state string, at time.Time) {
	if p.probe.State != state {
		p.probe.State, p.probe.Since = state, at
	}
}

// pause is the time from the start of one probe to the start of the next. The caller holds p.mu.
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

// snapshot is like Snapshot. The caller holds p.mu.
func (p *Prober) snapshot() Probe {
	probe := p.probe
	probe.IntervalSeconds = p.interval().Seconds()
	if probe.State == "" {
		probe.State = ProbeUnknown
	}
	return probe
}

// Up is a Check that holds while the upstream is up.
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

// Verified is a Check that holds from the first verified connection on, even if the upstream goes down later.
func (p *Prober) Verified() (detail string, err error) {
	if probe := p.Snapshot(); !probe.LastSuccess.IsZero() {
		return "", nil
	}
	return p.Up()
}

// Note says that the upstream is down. It is empty otherwise. It is for processes whose readiness ignores the
// upstream.
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
	text := fmt.Sprintf("%s (%s since %s, last try %s ago)",
		p.Problem.Text, p.Problem.Reason, p.Since.Format(time.RFC3339), age(now, p.LastTry))
	if p.Problem.Cure != "" {
		text += ". " + p.Problem.Cure
	}
	return text
}

// age is the time since then, in whole seconds.
func age(now, then time.Time) time.Duration { return max(0, now.Sub(then)).Round(time.Second) }
