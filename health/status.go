package health

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Status is the state of the process, and the conditions of its endpoints. The zero value is a process that
// has not started. Several goroutines may call its methods.
type Status struct {
	// About is part of every snapshot. It must not be changed while a Handler serves.
	About About

	mu       sync.Mutex
	started  bool
	draining bool

	startup, liveness, readiness []namedCheck

	notes   []namedNote
	origins []func() OriginSnapshot
}

// Check reports what is known about a condition. The error says why the condition does not hold. If it is
// nil, the condition holds and detail can say more. Every request and every scrape calls the check, several
// goroutines at once. So it must report an outcome that it already knows.
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

// Drain makes Ready fail for good. Liveness and startup are unaffected: restarting a draining process would
// end the sessions that it waits for.
func (s *Status) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
}

// AddStartup adds a condition to /startupz.
func (s *Status) AddStartup(name string, check Check) { s.add(&s.startup, name, check) }

// AddLiveness adds a condition to /livez. If it fails, the kubelet kills the process and all its sessions.
func (s *Status) AddLiveness(name string, check Check) { s.add(&s.liveness, name, check) }

// AddReadiness adds a condition to /readyz.
func (s *Status) AddReadiness(name string, check Check) { s.add(&s.readiness, name, check) }

func (s *Status) add(to *[]namedCheck, name string, check Check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*to = append(*to, namedCheck{name, check})
}

type namedNote struct {
	name string
	text func() string
}

// AddNote adds a note to snapshots and to the verbose answer of /readyz. A note does not affect readiness.
// Every request calls text; while it returns "", there is no note.
func (s *Status) AddNote(name string, text func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, namedNote{name: name, text: text})
}

// AddOrigin adds an origin to snapshots. Every snapshot calls describe.
func (s *Status) AddOrigin(describe func() OriginSnapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins = append(s.origins, describe)
}

// Ready returns nil if new clients are welcome. Otherwise the error has all reasons, one on each line.
func (s *Status) Ready() error {
	var errs []error
	for _, c := range s.readyConditions() {
		if !c.OK {
			errs = append(errs, fmt.Errorf("%s: %s", c.Name, c.Reason))
		}
	}
	return errors.Join(errs...)
}

// Snapshot returns what is known now.
func (s *Status) Snapshot() Snapshot {
	s.mu.Lock()
	origins := slices.Clone(s.origins)
	s.mu.Unlock()
	snapshot := Snapshot{
		Time: time.Now().UTC(), About: s.About, Draining: s.Draining(),
		Started: allHold(s.startConditions()), Live: allHold(s.liveConditions()),
		Conditions: s.readyConditions(), Notes: s.allNotes(),
		Origins: []OriginSnapshot{}, // an empty list in JSON, not null
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

// readyConditions returns the conditions of /readyz. Draining is listed only while it lasts, because
// "[+]draining ok" would read as if draining were the desired state.
func (s *Status) readyConditions() []Condition {
	s.mu.Lock()
	conditions := []Condition{s.listener()}
	if s.draining {
		const reason = "told to stop; running sessions may finish"
		conditions = append(conditions, Condition{Name: "draining", Reason: reason})
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

// evaluate runs checks. The caller does not hold s.mu, so a check may call a method of Status.
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

// allNotes returns the notes that have a text.
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
