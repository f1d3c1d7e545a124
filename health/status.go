package health

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

var (
	errNotStarted = errors.New("listener: not bound yet")
	errDraining   = errors.New("draining: new clients are refused, running sessions may finish")
)

// Status is what readiness depends on. The zero value is a process that has not started.
// Its methods may be called by several goroutines.
type Status struct {
	mu       sync.Mutex
	started  bool
	draining bool
	checks   []namedCheck
	notes    []namedNote
}

// namedCheck is one condition of readiness besides the two built-in ones.
type namedCheck struct {
	name  string
	check func() error
}

// Started records that every listener is bound. It cannot be taken back.
func (s *Status) Started() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
}

// Drain makes Ready fail for good; liveness and startup are unaffected, because a process that is restarted while it
// drains would cut the very sessions that it waits for.
func (s *Status) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// AddCheck adds a condition to readiness, or replaces the one of the same name. The check runs within every request
// and every scrape, perhaps by several goroutines at once, so it must report an outcome that it already knows.
func (s *Status) AddCheck(name string, check func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.checks {
		if s.checks[i].name == name {
			s.checks[i].check = check
			return
		}
	}
	s.checks = append(s.checks, namedCheck{name: name, check: check})
}

// namedNote is something that people should know although it changes nothing about readiness.
type namedNote struct {
	name string
	text func() string
}

// AddNote adds a line to the verbose answers about readiness for as long as text returns something. It bears on nothing
// else. Like a check, text runs within every request.
func (s *Status) AddNote(name string, text func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, namedNote{name: name, text: text})
}

// Ready returns nil when new clients are welcome, else all the reasons why not, one on each line.
func (s *Status) Ready() error {
	var errs []error
	for _, o := range s.readiness() {
		if o.err != nil {
			errs = append(errs, o.err)
		}
	}
	return errors.Join(errs...)
}

// outcome is one line of a verbose answer; a nil err is a condition that holds, or just a note if there is one.
type outcome struct {
	name string
	err  error
	note string
}

// startup returns the only condition of /startupz.
func (s *Status) startup() []outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []outcome{s.listener()}
}

// listener is called with s.mu held.
func (s *Status) listener() outcome {
	if !s.started {
		return outcome{name: "listener", err: errNotStarted}
	}
	return outcome{name: "listener"}
}

// readiness returns all conditions of /readyz. Draining is listed only while it lasts: "[+]draining ok" would read as
// if draining were the desired state.
func (s *Status) readiness() []outcome {
	s.mu.Lock()
	outcomes := []outcome{s.listener()}
	if s.draining {
		outcomes = append(outcomes, outcome{name: "draining", err: errDraining})
	}
	checks, notes := slices.Clone(s.checks), slices.Clone(s.notes)
	s.mu.Unlock()

	// Checks and notes are foreign code: they run without the lock, so that they may call back.
	for _, c := range checks {
		o := outcome{name: c.name}
		if err := c.check(); err != nil {
			o.err = fmt.Errorf("%s: %w", c.name, err)
		}
		outcomes = append(outcomes, o)
	}
	for _, n := range notes {
		if text := n.text(); text != "" {
			outcomes = append(outcomes, outcome{name: n.name, note: text})
		}
	}
	return outcomes
}

// isDraining feeds the gauge of the same meaning.
func (s *Status) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
