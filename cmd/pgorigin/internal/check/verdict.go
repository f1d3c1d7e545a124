package check

import (
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/diagnose"
)

// judge makes the verdict over an origin that of a connection. If a client gets one, only a failure to log in
// there counts, and every other failure becomes a warning. If a client gets none, its failure is reported,
// not the first one in the report.
func (c *originChecker) judge(upstreams []Upstream, got diagnose.Connection) {
	why := choice(upstreams, got.Addr)
	if got.Addr != nil {
		c.report.forgive(upstreams, got.Addr)
	}
	c.expectSessions(upstreams, got, why)
	if c.report.Failed != nil {
		return // of pgorigin itself, or of an earlier origin
	}
	c.report.Failed = firstFailure(upstreams, got.Err)
	if c.report.Failed == nil && got.Err != nil { // it passed when the addresses were walked to
		c.report.Failed = c.passing(got.Err)
	}
}

// passing returns the failure of a connection that no walk has.
func (c *originChecker) passing(err *tlsorigin.Error) *Failure {
	found := c.finding(err)
	f := &Failure{
		Origin: c.origin.Name(), Upstream: err.Addr,
		Reason: found.Reason, Text: found.Text, Cure: found.Cure(),
	}
	if stages := diagnose.StagesOf(err.Kind); len(stages) > 0 {
		f.Stage = stages[0]
	}
	return f
}

// forgive turns failures into warnings, except that of a login at addr.
func (r *Report) forgive(upstreams []Upstream, addr *tlsorigin.Addr) {
	for s := range stagesOf(upstreams) {
		login := s.Stage.Stage == advice.StageAuthentication || s.Stage.Stage == advice.StageLogin
		if s.Result != resultFailed || login && s.upstream == addr.Host && s.address == addr.String() {
			continue
		}
		r.Degraded = append(r.Degraded, s.failure())
		s.Result = resultWarning
	}
}

// firstFailure returns the first failing stage. If why is set, it returns the first one that failed for why.
// Nil means that there is none.
func firstFailure(upstreams []Upstream, why *tlsorigin.Error) *Failure {
	for s := range stagesOf(upstreams) {
		if s.Result != resultFailed || why == nil && !s.counts ||
			why != nil && (s.Reason != why.Reason() || s.upstream != why.Addr) {
			continue
		}
		f := s.failure()
		return &f
	}
	return nil
}

// placedStage is a stage with its place in a report.
type placedStage struct {
	*Stage
	origin, upstream, address string

	counts bool // Dial reports this failure of the address, and not another one
}

func (s placedStage) failure() Failure {
	return Failure{s.Stage.Stage, s.origin, s.upstream, s.address, s.Reason, s.Text, s.Cure}
}

// stagesOf goes through all stages in their order.
func stagesOf(upstreams []Upstream) func(yield func(placedStage) bool) {
	return func(yield func(placedStage) bool) {
		for i := range upstreams {
			u := &upstreams[i]
			if !yield(placedStage{&u.DNS, u.Origin, u.Upstream, "", true}) {
				return
			}
			for j := range u.Addresses {
				a := &u.Addresses[j]
				for k := range a.Stages {
					s := &a.Stages[k]
					counts := a.failed == "" || a.failed == s.Stage
					if !yield(placedStage{s, u.Origin, u.Upstream, a.Address, counts}) {
						return
					}
				}
			}
		}
	}
}

// concludeStages finds the first failure of pgorigin itself.
func (r *Report) concludeStages() {
	for i := range r.Stages {
		if s := &r.Stages[i]; r.Failed == nil && s.Result == resultFailed {
			f := placedStage{Stage: s}.failure()
			r.Failed = &f
		}
	}
}

// conclude makes the result of the whole report.
func (r *Report) conclude() {
	r.concludeStages()
	if r.Failed == nil {
		r.Failed = firstFailure(r.Upstreams, nil)
	}
	r.OK = r.Failed == nil && len(r.Problems) == 0
	switch {
	case !r.OK:
		r.Result = resultFailed
	case len(r.Degraded) > 0:
		r.Result = resultDegraded
	default:
		r.Result = resultOK
	}
}

// loggedIn reports whether there was a login to the end, which only --login asks for.
func (r *Report) loggedIn() bool {
	for i := range r.Upstreams {
		for j := range r.Upstreams[i].Addresses {
			if r.Upstreams[i].Addresses[j].Login != nil {
				return true
			}
		}
	}
	return false
}

// warnings counts what a reader should look at, though nothing failed.
func (r *Report) warnings() int {
	n := len(r.Warnings)
	for i := range r.Stages {
		if r.Stages[i].Result == resultWarning {
			n++
		}
	}
	for s := range stagesOf(r.Upstreams) {
		if s.Result == resultWarning {
			n++
		}
	}
	return n
}
