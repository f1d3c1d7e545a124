package outage

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

var (
	errClosed = errors.New("pgorigin shuts down, and no client waits any more")
	// errHanded interrupts the dial of a client that has been given a connection, or a turn.
	errHanded = errors.New("the client needs no dial of its own any more")
)

// WaitedError says that a client has waited in vain for an upstream that refuses logins for now.
type WaitedError struct {
	Waited time.Duration
	Err    error // how the upstream refused another client
}

// Error returns both.
func (e *WaitedError) Error() string { return fmt.Sprintf("%v; waited %v for it", e.Err, e.Waited) }

// Unwrap returns Err.
func (e *WaitedError) Unwrap() error { return e.Err }

// Place is the place of one session in a Line. One goroutine uses its methods.
type Place struct {
	line     *Line
	aside    func(wait func())
	arrival  uint64
	deadline time.Time // nothing waits longer

	opened time.Time // when the session got its latest connection
	remote *tlsorigin.Addr
	ended  time.Time // when the upstream last ended its connection; at first, when the session came
	ends   int       // of these, those that count against the session

	// The Line's mutex guards what follows.
	index   int           // in the line; negative if it is not there
	pending *list.Element // in the Line's pending; nil unless it dials
	began   time.Time     // of its dial
	cancel  func()        // interrupts its dial
	woken   chan struct{} // closed when it need not wait any more; nil unless it waits
	since   time.Time     // when it first waited; zero if it never did, or if that is reported
	given   grant
	turn    *recovery // for its dial and its login; nil if it needs none
	lapsed  bool      // the turn does not count any more
	trial   *address  // whose connection it tries; nil for none
	opens   int       // connections so far
	cuts    int       // how many of them the upstream has ended without a message
	lapse   *time.Timer
	leave   func() // ends what watchTrial began
	refusal error  // how the upstream refused its login for now; nil if it did not
}

// grant is what ends the wait of a client. At most one of conn, turn and err is set.
type grant struct {
	conn  *tlsorigin.Conn
	trial *address  // of conn
	turn  *recovery // it may dial
	err   error
}

// give ends the wait or the dial of a client that is not in the line any more.
func (p *Place) give(g grant) {
	p.given = g
	if p.woken != nil {
		close(p.woken)
		return
	}
	p.cancel()
}

// Dial returns a verified connection for a session, which closes it. While the session only waits, it runs
// inside aside. The Place is nil if clients do not wait.
func (l *Line) Dial(ctx context.Context, aside func(wait func())) (*tlsorigin.Conn, *Place, error) {
	if l.options.Wait <= 0 {
		conn, err := l.upstream.dial(ctx, nil)
		return conn, nil, err
	}
	now := time.Now()
	p := &Place{line: l, aside: aside, deadline: now.Add(l.options.Wait), ended: now, index: -1}
	l.mu.Lock()
	l.arrived++
	p.arrival = l.arrived
	l.mu.Unlock()
	conn, err := p.open(ctx)
	return conn, p, err
}

// step is what a client does next.
type step int

const (
	done step = iota
	dial
	wait
)

// open gets a connection: by a dial while the upstream is there, else by waiting.
func (p *Place) open(ctx context.Context) (*tlsorigin.Conn, error) {
	for next := dial; ; {
		var conn *tlsorigin.Conn
		var err error
		if next == dial {
			conn, next, err = p.dial(ctx)
		} else {
			conn, next, err = p.wait(ctx)
		}
		if next == done {
			return conn, err
		}
	}
}

// dial dials, unless the client has to wait for its turn.
func (p *Place) dial(ctx context.Context) (*tlsorigin.Conn, step, error) {
	dialCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !p.mayDial(func() { cancel(errHanded) }) {
		return nil, wait, nil
	}
	conn, err := p.line.upstream.dial(dialCtx, nil)
	return p.dialled(ctx, conn, err)
}

// mayDial begins a dial, which cancel interrupts, or gives the client a place in the line.
func (p *Place) mayDial(cancel func()) bool {
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outage != nil || p.turn == nil && l.queue.Len() > 0 {
		l.push(p)
		p.startWait()
		p.endTurn(false)
		l.release()
		return false
	}
	p.began, p.cancel = time.Now(), cancel
	if p.turn != nil {
		p.watchTurn()
	}
	p.pending = l.pending.PushBack(p)
	l.watchIn(suspectAfter)
	return true
}

// dialled takes what came of a dial.
func (p *Place) dialled(ctx context.Context, conn *tlsorigin.Conn, err error) (*tlsorigin.Conn, step, error) {
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending.Remove(p.pending)
	p.pending, p.cancel = nil, nil
	given := p.given
	p.given = grant{}
	if conn != nil {
		l.answered = time.Now()
		l.connected(p.began)
		l.remove(p)
		l.takeBack(given)
		p.got(conn)
		return conn, done, nil
	}
	turn := p.takeTurn()
	defer l.endTurn(turn, false) // at last, for what the failure says comes first
	switch {
	case ctx.Err() != nil:
		l.remove(p)
		l.takeBack(given)
		return nil, done, p.left(ctx)
	case given != grant{}:
		return p.use(ctx, given)
	}
	return p.judge(err)
}

// judge decides what a failed dial means.
func (p *Place) judge(err error) (*tlsorigin.Conn, step, error) {
	l := p.line
	now := time.Now()
	over := l.closed || !now.Before(p.deadline)
	stuck := now.Sub(p.began) >= suspectAfter
	var failure *tlsorigin.Error
	switch {
	case !errors.As(err, &failure), isLocal(failure) && (over || l.outage == nil):
		l.remove(p)
		return nil, done, p.failed(err)
	case isLocal(failure):
	case !failure.MayPass() && (over || l.outage == nil || failure.Others == nil):
		l.remove(p)
		l.answered = now
		if l.outage != nil {
			l.hopeless(failure)
		}
		return nil, done, p.failed(err)
	case stuck && l.outage == nil && l.answered.After(p.began) && !over:
		return nil, dial, nil // it says nothing about now
	default:
		l.failed = now
		l.note(failure)
	}
	if over {
		l.remove(p)
		return nil, done, p.failed(failure)
	}
	l.push(p)
	p.startWait()
	return nil, wait, nil
}

// isLocal reports whether a failure says nothing about the upstream: this process, or this machine, lacks
// something.
func isLocal(e *tlsorigin.Error) bool {
	return e.Case == tlsorigin.CaseBusyHere || e.Case == tlsorigin.CaseThisMachine
}

// startWait notes that the client waits, and does not dial.
func (p *Place) startWait() {
	p.woken = make(chan struct{})
	if p.since.IsZero() {
		p.since = time.Now()
	}
	p.line.waiting++
	p.line.announce()
}

// wait waits for a connection, for a turn to dial, or for the end of the time.
func (p *Place) wait(ctx context.Context) (*tlsorigin.Conn, step, error) {
	woken := p.woken // set by this goroutine
	wait := func() {
		timer := time.NewTimer(time.Until(p.deadline))
		defer timer.Stop()
		select {
		case <-woken:
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	if p.aside == nil {
		wait()
	} else {
		p.aside(wait)
	}
	l := p.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
	given := p.given
	p.woken, p.given = nil, grant{}
	l.remove(p)
	switch {
	case ctx.Err() != nil:
		l.takeBack(given)
		return nil, done, p.left(ctx)
	case given != grant{}:
		return p.use(ctx, given)
	}
	return nil, done, p.failed(p.timeOver())
}

// use uses what the client was given.
func (p *Place) use(ctx context.Context, given grant) (*tlsorigin.Conn, step, error) {
	switch {
	case given.conn != nil:
		p.got(given.conn)
		p.trial = given.trial
		p.watchTrial(ctx)
		return given.conn, done, nil
	case given.turn != nil:
		p.turn, p.lapsed = given.turn, false
		return nil, dial, nil
	}
	return nil, done, p.failed(given.err)
}

// got notes which connection the session has.
func (p *Place) got(conn *tlsorigin.Conn) {
	p.opened, p.remote = time.Now(), p.line.upstream.remote(conn)
	p.opens++
}

// timeOver returns why the client has waited in vain. What the upstream itself has told the client says more
// than what it has told others.
func (p *Place) timeOver() error {
	l := p.line
	if l.outage == nil { // too many dial
		return l.upstream.unanswered("came back, but was too slow for all clients that waited")
	}
	why := l.outage.why
	var failure *tlsorigin.Error
	switch {
	case errors.As(why, &failure):
		return failure
	case p.refusal != nil:
		return p.refusal
	}
	return &WaitedError{time.Since(p.since), why}
}

// failed returns err with how long the client has waited, and reports that.
func (p *Place) failed(err error) error {
	var failure *tlsorigin.Error
	if !p.since.IsZero() && errors.As(err, &failure) {
		copied := *failure
		copied.Waited = time.Since(p.since)
		err = &copied
	}
	p.report(err)
	return err
}

// left returns why the session has ended meanwhile. The hook gets the error of ctx.
func (p *Place) left(ctx context.Context) error {
	p.report(ctx.Err())
	return fmt.Errorf("wait for the upstream: %w", context.Cause(ctx))
}

// report tells the hook, once, how long the client has waited.
func (p *Place) report(err error) {
	if hook := p.line.options.Trace.Waited; hook != nil && !p.since.IsZero() {
		hook(time.Since(p.since), err)
	}
	p.since = time.Time{}
}
