package tlsorigin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// stagger is how long an address may be silent before the next one is tried beside it (RFC 8305), and how
	// long a name may be looked up before an earlier answer stands in.
	stagger = 250 * time.Millisecond
	// maxStagger is the longest time for an address that is far away.
	maxStagger = time.Second
	// entryStagger takes the place of stagger between entries of the list. The addresses of a name are equals,
	// and the order of the list is a preference. One lost packet, a round trip of half a second or a slow DNS
	// server must not override it. It is also how long a name may be looked up before later ones go first.
	entryStagger = 1500 * time.Millisecond
	// maxCalm addresses or fewer each have all the time that is left. If there are more, each has silentGrace.
	// So no more than silentGrace/stagger of them are silent at one time.
	maxCalm = 8
	// maxRacers bounds the attempts of one dial at one time.
	maxRacers = 16
)

// race is one dial of several addresses. It tries them in order, the bad ones last. It tries the next one when
// one has failed, or when the latest is silent for its patience. The first verified connection wins.
type race struct {
	dialer  *Dialer
	state   *tlsState
	options options
	began   time.Time
	end     time.Time

	names   []finding // of each configured address
	pending int       // of names: they are still looked up
	tried   []place
	running []*racer
	latest  *racer
	due     bool // the next address does not wait for the latest one
	places  int  // in Dialer.beside
	silent  bool // nothing is dialled, so no attempt is reported

	failures []ranked

	looked chan rankedFinding
	failed chan finish
	over   atomic.Bool // a connection has won, or the caller has left
	won    chan finish
}

// racer is one address under way.
type racer struct {
	route    route
	place    place
	rank     rank
	began    time.Time
	patience time.Duration // how long it may be silent before another address of its name is tried
	wasBad   bool          // when it started
	progress progress
}

// rank is the place of an address in the list, and behind its name.
type rank struct{ name, addr int }

type ranked struct {
	rank    rank
	failure *Error
}

type rankedFinding struct {
	finding
	name int
	took time.Duration
}

// finish is the end of one racer.
type finish struct {
	racer *racer
	outcome
}

// race dials the configured addresses. known are those of the only name; nil means that all names are still
// to be looked up.
func (d *Dialer) race(ctx context.Context, known []route, state *tlsState, end time.Time, o options) (*Conn,
	error,
) {
	r := &race{
		dialer: d, state: state, options: o, began: time.Now(), end: end, due: true,
		names:  make([]finding, len(d.upstream)),
		looked: make(chan rankedFinding), failed: make(chan finish), won: make(chan finish, 1),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { r.leave(0) }()
	if known != nil {
		r.names[0].routes = known
	} else {
		r.lookUp(ctx)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, place, more := r.advance(ctx)
		switch {
		case !more && ctx.Err() != nil:
			return nil, interrupted(ctx, d.upstream[0])
		case !more:
			return nil, r.failure()
		}
		timer.Reset(wait)
		select {
		case f := <-r.looked:
			r.found(f)
		case f := <-r.failed:
			r.lost(f)
		case f := <-r.won:
			r.finish(f.racer)
			return f.conn, nil
		case place <- struct{}{}:
			r.places++
		case <-timer.C:
		case <-ctx.Done():
			if !r.over.CompareAndSwap(false, true) {
				return (<-r.won).conn, nil
			}
			return nil, interrupted(ctx, d.upstream[0])
		}
	}
}

// lookUp looks all names up, side by side.
func (r *race) lookUp(ctx context.Context) {
	for i, configured := range r.dialer.upstream {
		if configured.dns == "" {
			r.names[i].routes = []route{configured}
			continue
		}
		r.pending++
		go func() {
			found := rankedFinding{name: i}
			func() {
				defer stopwatch(&found.took)()
				found.finding = r.dialer.find(ctx, configured, r.end)
			}()
			select {
			case r.looked <- found:
			case <-ctx.Done():
			}
		}()
	}
}

// found notes what came of looking one name up.
func (r *race) found(f rankedFinding) {
	r.pending--
	r.names[f.name] = f.finding
	if f.failure != nil {
		if !r.silent {
			r.dialer.lookupFailed(f.failure, f.took, r.options)
		}
		r.failures = append(r.failures, ranked{rank{name: f.name}, f.failure})
	}
}

// advance starts what is due. It returns after how long it must be called again without an event, and where
// to get a place if one is lacking. more is false when everything has failed.
func (r *race) advance(ctx context.Context) (wait time.Duration, place semaphore, more bool) {
	const long = time.Hour // an event comes earlier
	for len(r.running) < maxRacers {
		now := time.Now()
		next, ok := r.next(now)
		if left := r.patience(next, now); ok && !r.due && left > 0 {
			r.leave(len(r.running) - 1)
			return left, nil, true
		}
		switch patience := r.began.Add(entryStagger).Sub(now); {
		case ok && r.places < len(r.running):
			return long, r.dialer.beside, true
		case ok:
			r.start(ctx, next)
		case r.pending > 0 && patience > 0:
			return patience, nil, true
		default:
			r.leave(len(r.running) - 1)
			return long, nil, r.pending > 0 || len(r.running) > 0
		}
	}
	return long, nil, true
}

// leave gives back the places that are more than needed. The first attempt needs none.
func (r *race) leave(needed int) {
	for ; r.places > max(needed, 0); r.places-- {
		<-r.dialer.beside
	}
}

// patience returns for how long the latest address may go on being silent before next is tried.
func (r *race) patience(next *racer, now time.Time) time.Duration {
	l := r.latest
	if l == nil || next == nil || !l.wasBad && r.dialer.addresses.isBad(l.place, l.route) {
		return 0 // other dials know better by now
	}
	return l.patienceFor(next) - l.progress.quiet(now)
}

// patienceFor returns how long one may be silent before next is tried beside it.
func (one *racer) patienceFor(next *racer) time.Duration {
	if one.rank.name == next.rank.name || one.wasBad {
		return one.patience
	}
	return entryStagger
}

// next returns the next address to try: the first that is not bad, else the first. A name for which DNS is
// silent is like a bad address: those that are not bad do not wait for it.
func (r *race) next(now time.Time) (next *racer, ok bool) {
	var bad *racer
	silent := false
	for i, name := range r.names {
		if name.routes == nil && name.failure == nil && now.Sub(r.began) < entryStagger {
			if !r.dialer.lookups.isSilent(r.dialer.upstream[i].dns) {
				return nil, false // it is being looked up, and keeps its turn
			}
			silent = true
		}
		for j, candidate := range name.routes {
			p := r.dialer.place(candidate)
			if slices.Contains(r.tried, p) {
				continue
			}
			one := &racer{route: candidate, place: p, rank: rank{i, j}, began: now}
			if !r.dialer.addresses.isBad(p, candidate) {
				return one, true
			}
			if one.wasBad = true; bad == nil {
				bad = one
			}
		}
	}
	if silent {
		return nil, false
	}
	return bad, bad != nil
}

// start tries one address.
func (r *race) start(ctx context.Context, one *racer) {
	r.tried, r.running = append(r.tried, one.place), append(r.running, one)
	r.latest, r.due = one, false
	one.patience = r.dialer.addresses.patience(one.place)
	budget := time.Until(r.end)
	candidates := 0
	for _, name := range r.names {
		candidates += len(name.routes)
	}
	if candidates > maxCalm {
		budget = min(budget, silentGrace)
	}
	o := r.options
	o.progress = &one.progress
	one.progress.waiters = &r.dialer.waiters
	o.progress.start(one.route.dial) // its goroutine may not have run yet when asked
	go func() {
		result := r.dialer.open(ctx, one.route, r.state, budget, o)
		switch {
		case result.conn == nil:
			select {
			case r.failed <- finish{one, result}:
			case <-ctx.Done():
			}
		case r.over.CompareAndSwap(false, true):
			r.won <- finish{one, result}
		default:
			_ = result.conn.Close() // before a startup packet
		}
	}()
}

// lost notes the failure of one address.
func (r *race) lost(f finish) {
	r.running = slices.DeleteFunc(r.running, func(one *racer) bool { return one == f.racer })
	if f.failure != nil { // else ctx has ended
		r.due = r.due || f.racer == r.latest // else the next one is under way already
		r.failures = append(r.failures, ranked{f.racer.rank, f.failure})
	}
}

// finish notes which addresses were silent until winner was verified, and starts the probes that are due.
func (r *race) finish(winner *racer) {
	now := time.Now()
	for _, one := range r.running {
		quiet := one.progress.quiet(now)
		if one == winner || quiet < one.patienceFor(winner) {
			continue
		}
		failure := &Error{
			Kind: ReasonUpstreamSilent, Addr: one.route.host, past: r.dialer.addresses.pastAt(one.place),
			Text: fmt.Sprintf("gave no answer for %v, and another address was faster", rounded(quiet)),
		}
		switch {
		case one.progress.isConnecting():
			failure.Kind = ReasonUpstreamTimeout
		case failure.past.here:
			failure.Case = CaseRightPort
		}
		r.dialer.addresses.lost(one.place, one.route, one.began, failure)
	}
	if r.options.probe {
		return // nobody dials
	}
	for _, name := range r.names {
		r.dialer.probeAddresses(name.routes)
	}
}

// failure merges all failures.
func (r *race) failure() *Error {
	slices.SortStableFunc(r.failures, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank.name, b.rank.name), cmp.Compare(a.rank.addr, b.rank.addr))
	})
	failures := make([]*Error, len(r.failures))
	for i, f := range r.failures {
		failures[i] = f.failure
	}
	return furthest(failures)
}

// progress tells for how long an attempt has heard nothing. Time in our own queues does not count, nor does
// silence while the address answers others. Nil notes nothing.
type progress struct {
	waiters *waiters

	// Guarded by waiters.mu.
	addr   string    // resolved
	since  time.Time // when the connecting began
	waiter *waiter   // nil while there is no TCP connection
}

// start says that the attempt connects from now on.
func (p *progress) start(addr string) {
	if p == nil {
		return
	}
	p.waiters.mu.Lock()
	defer p.waiters.mu.Unlock()
	p.addr, p.since, p.waiter = addr, time.Now(), nil
}

// connected says that there is a TCP connection, for which w waits.
func (p *progress) connected(w *waiter) {
	if p == nil {
		return
	}
	p.waiters.mu.Lock()
	defer p.waiters.mu.Unlock()
	p.waiter = w
}

func (p *progress) isConnecting() bool {
	p.waiters.mu.Lock()
	defer p.waiters.mu.Unlock()
	return p.waiter == nil
}

// quiet returns for how long nothing has been heard. When an attempt has waited for silentGrace in all, the whole
// wait counts: an address that answers a byte at a time must not keep the others off.
func (p *progress) quiet(now time.Time) time.Duration {
	p.waiters.mu.Lock()
	defer p.waiters.mu.Unlock()
	since, waited, at := p.since, time.Duration(0), p.waiters.byAddr[p.addr]
	if w := p.waiter; w != nil {
		since, waited, at = w.since, w.waited, w.at
	}
	if since.IsZero() {
		return 0 // it waits for us
	}
	quiet := now.Sub(since)
	if waited+quiet >= silentGrace {
		return waited + quiet
	}
	if at != nil && at.heard.After(since) {
		quiet = now.Sub(at.heard)
	}
	return quiet
}
