package health

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// keptReloads bounds the history of reloads.
const keptReloads = 10

// Record remembers what happened to one origin, for /statusz and the status page. The zero value is an origin
// to which nothing has happened. Several goroutines may call its methods.
type Record struct {
	mu       sync.Mutex
	open     int
	total    int64
	minutes  minutes
	logins   map[string]int64 // by method, of which there are few
	cancels  Cancels
	failures map[string]*Failure // by reason, of which there are few
	reloads  []Reload            // the latest last
}

// SessionOpened records an accepted client. One SessionEnded follows every call.
func (r *Record) SessionOpened() {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.minutes.at(time.Now(), r.open)
	r.open++
	r.total++
	p.opened++
	p.open = max(p.open, r.open)
}

// LoggedIn records a login by its authentication method.
func (r *Record) LoggedIn(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.logins == nil {
		r.logins = map[string]int64{}
	}
	r.logins[method]++
}

// SessionEnded records the end of a session. Problem is nil if the end needs no attention.
func (r *Record) SessionEnded(problem *Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	p := r.minutes.at(now, r.open)
	r.open--
	if problem != nil {
		p.failed++
		r.fail(problem, now)
	}
}

// Failed records a problem outside any session.
func (r *Record) Failed(problem *Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(problem, time.Now())
}

// Noted records what may be a problem of a client, and may be what the client is for. It is called beside
// SessionEnded, which then gets no problem.
func (r *Record) Noted(problem *Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(problem, time.Now()).Harmless = true
}

// fail is called with r.mu held.
func (r *Record) fail(problem *Problem, now time.Time) *Failure {
	if r.failures == nil {
		r.failures = map[string]*Failure{}
	}
	f := r.failures[problem.Reason]
	if f == nil {
		f = new(Failure)
		r.failures[problem.Reason] = f
	}
	f.Problem, f.Last = *problem, now.UTC()
	f.Count++
	return f
}

// Cancelled records the end of a cancel request. Known says that its key belongs to a session of this
// process, done that it was delivered.
func (r *Record) Cancelled(known, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !known:
		r.cancels.UnknownKey++
	case done:
		r.cancels.Forwarded++
	default:
		r.cancels.Failed++
	}
}

// Reloaded records a check of the certificate files that found something new. Result is ReloadOK,
// ReloadFailed or ReloadStalled.
func (r *Record) Reloaded(result, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.reloads) == keptReloads {
		r.reloads = slices.Delete(r.reloads, 0, 1)
	}
	r.reloads = append(r.reloads, Reload{At: time.Now().UTC(), Result: result, Text: text})
}

// Describe sets Sessions (except Limit, LimitFrom and OffLoop), Cancels, Failures and Reloads.
func (r *Record) Describe(o *OriginSnapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.minutes.at(time.Now(), r.open)
	o.Sessions.Open, o.Sessions.Total, o.Sessions.Minutes = r.open, r.total, r.minutes.list()
	o.Sessions.Logins = []Logins{}
	for _, method := range slices.Sorted(maps.Keys(r.logins)) {
		o.Sessions.Logins = append(o.Sessions.Logins, Logins{method, r.logins[method]})
	}
	o.Cancels = r.cancels
	o.Failures = []Failure{}
	for _, f := range r.failures {
		o.Failures = append(o.Failures, *f)
	}
	slices.SortFunc(o.Failures, func(a, b Failure) int { return b.Last.Compare(a.Last) })
	o.Reloads = append([]Reload{}, r.reloads...)
	slices.Reverse(o.Reloads)
}
