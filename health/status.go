package health

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Status is what the endpoints depend on. The zero value is a process that has not started.
// Its methods may be called by several goroutines.
type Status struct {
	// About is repeated in every snapshot. It must not be changed once a Handler serves.
	About About

	mu       sync.Mutex
	started  bool
	draining bool

	startup, liveness, readiness []namedCheck

	notes   []namedNote
	origins []func() OriginSnapshot
}

// Check reports what is known about a condition: with an error, why it does not hold; without, detail is what else there
// is to say about it, if anything. It runs within every request and every scrape, perhaps by several goroutines at once, so
// it must report an outcome that it already knows.
type Check func() (detail string, err error)

type namedCheck struct {
	name  string
	check Check
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

// AddStartup adds a condition to /startupz.
func (s *Status) AddStartup(name string, check Check) { s.add(&s.startup, name, check) }

// AddLiveness adds a condition to /livez. Whoever asks there kills the process if it fails, and all sessions with it.
func (s *Status) AddLiveness(name string, check Check) { s.add(&s.liveness, name, check) }

// AddReadiness adds a condition to /readyz.
func (s *Status) AddReadiness(name string, check Check) { s.add(&s.readiness, name, check) }

func (s *Status) add(to *[]namedCheck, name string, check Check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, namedCheck{name, check})
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

// AddOrigin makes what describe returns a part of every snapshot.
func (s *Status) AddOrigin(describe func() OriginSnapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins = append(s.origins, describe)
}

// Ready returns nil when new clients are welcome, else all the reasons why not, one on each line.
func (s *Status) Ready() error {
	var errs []error
	for _, c := range s.readyConditions() {
		if !c.OK {
			errs = append(errs, fmt.Errorf("%s: %s", c.Name, c.Reason))
		}
	}
	return errors.Join(errs...)
}

// Snapshot returns all that is known now.
func (s *Status) Snapshot() Snapshot {
	s.mu.Lock()
	origins := slices.Clone(s.origins)
	s.mu.Unlock()
	snapshot := Snapshot{
		Time: time.Now().UTC(), About: s.About, Draining: s.Draining(),
		Started: allHold(s.startConditions()), Live: allHold(s.liveConditions()),
		Conditions: s.readyConditions(), Notes: s.allNotes(),
		Origins: []OriginSnapshot{}, // a list in JSON even when there is none
	}
	snapshot.Ready = allHold(snapshot.Conditions)
	for _, describe := range origins {
		snapshot.Origins = append(snapshot.Origins, describe())
	}
	return snapshot
}

// liveConditions returns the conditions of /livez.
func (s *Status) liveConditions() []Condition {
	s.mu.Lock()
	checks := slices.Clone(s.liveness)
	s.mu.Unlock()
	return append([]Condition{{Name: "process", OK: true}}, evaluate(checks)...)
}

// startConditions returns the conditions of /startupz.
func (s *Status) startConditions() []Condition {
	s.mu.Lock()
	listener, checks := s.listener(), slices.Clone(s.startup)
	s.mu.Unlock()
	return append([]Condition{listener}, evaluate(checks)...)
}

// readyConditions returns the conditions of /readyz. Draining is listed only while it lasts: "[+]draining ok" would read
// as if draining were the desired state.
func (s *Status) readyConditions() []Condition {
	s.mu.Lock()
	conditions := []Condition{s.listener()}
	if s.draining {
		conditions = append(conditions, Condition{Name: "draining", Reason: "told to stop; running sessions may finish"})
	}
	checks := slices.Clone(s.readiness)
	s.mu.Unlock()
	return append(conditions, evaluate(checks)...)
}

// listener is called with s.mu held.
func (s *Status) listener() Condition {
	if !s.started {
		return Condition{Name: "listener", Reason: "not bound yet"}
	}
	return Condition{Name: "listener", OK: true}
}

// evaluate runs checks. They are foreign code: s.mu is not held, so that they may call back.
func evaluate(checks []namedCheck) []Condition {
	var conditions []Condition
	for _, c := range checks {
		detail, err := c.check()
		condition := Condition{Name: c.name, OK: err == nil}
		if err != nil {
			condition.Reason = err.Error()
		} else {
			condition.Detail = detail
		}
		conditions = append(conditions, condition)
	}
	return conditions
}

func allHold(conditions []Condition) bool {
	return !slices.ContainsFunc(conditions, func(c Condition) bool { return !c.OK && !c.Excluded })
}

// allNotes returns the notes that have something to say.
func (s *Status) allNotes() []Note {
	s.mu.Lock()
	asked := slices.Clone(s.notes)
	s.mu.Unlock()
	notes := []Note{}
	for _, n := range asked {
		if text := n.text(); text != "" {
			notes = append(notes, Note{n.name, text})
		}
	}
	return notes
}

// Draining reports whether Drain was called.
func (s *Status) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
