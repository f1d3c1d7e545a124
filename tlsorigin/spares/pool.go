package spares

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/background"
)

// Pool keeps connections of a Dialer ready ahead of their use: verified, with nothing sent on them yet. Each
// is a client to the upstream: a process of PostgreSQL, or one of max_client_conn of pgbouncer. New makes a
// Pool; its methods may be called concurrently.
type Pool struct {
	dialer *tlsorigin.Dialer
	count  int
	trace  Trace

	probe      func(*tlsorigin.Conn) error
	names      names
	background *background.Group
	wake       chan struct{} // has room for one; makes keep look at once

	mu               sync.Mutex
	closed           bool
	suspended        bool            // no new ones are made
	ready            []*Spare        // the oldest first
	opening, closing int             // connections that count, too
	fewer            chan struct{}   // closed, and replaced, when one of these is opened or closed
	era              context.Context // of dials; dropAll ends it and begins another
	endEra           context.CancelFunc
	age              ageLimit
	pause            backoff
}

// Trace holds hooks that a Pool runs. Any may be nil. They must neither block nor call the Pool.
type Trace struct {
	// Used is called for each Take and each Dead.
	Used func(Use)
	// Discarded is called for each spare that is closed unused, with its age. For EndDead, err says what
	// happened.
	Discarded func(end End, age time.Duration, err error)
	// Paused is called when no new spare is made for a while, because of err.
	Paused func(err error, wait time.Duration)
}

// Use says whether a spare was there when it was wanted.
type Use string

// The uses.
const (
	Hit  Use = "hit"
	Miss Use = "miss" // none was ready
	Dead Use = "dead" // a hit that was dead
)

// Uses returns all of them.
func Uses() []Use { return []Use{Hit, Miss, Dead} }

// End says why a spare was closed unused.
type End string

// The ends of spares.
const (
	EndAged       End = "age"
	EndDead       End = "dead"      // the upstream ended it, or spoke before it was asked
	EndDistrusted End = "trust"     // it was verified under a state that is no longer in force
	EndMoved      End = "address"   // the name of the upstream no longer means its address
	EndUnhealthy  End = "unhealthy" // a dial failed, or another spare was dead when it was used
	EndClosed     End = "closed"    // Close
)

// Ends returns all of them.
func Ends() []End {
	return []End{EndAged, EndDead, EndDistrusted, EndMoved, EndUnhealthy, EndClosed}
}

// Spare is a connection that was made ahead of its use.
type Spare struct {
	*tlsorigin.Conn
	pool    *Pool
	born    time.Time
	limit   time.Duration // of its age, when it was made
	stretch float64       // factor of any limit, so that spares made together do not end together
}

// New returns a Pool of d that keeps count connections ready from Start on. If count is zero it keeps none.
func New(d *tlsorigin.Dialer, count int, trace Trace) *Pool {
	p := &Pool{
		dialer: d, count: count, trace: trace,
		probe: (*tlsorigin.Conn).CheckIdle, names: newNames(d), background: background.New(),
		wake: make(chan struct{}, 1), fewer: make(chan struct{}),
	}
	p.era, p.endEra = context.WithCancel(p.background.Context())
	return p
}

// Start begins to make spares. It must be called at most once. Close ends it.
func (p *Pool) Start() {
	if p.count > 0 {
		p.background.Start(p.keep)
	}
}

// Close closes all spares and waits until that is done, at most tlsorigin.CloseGrace. Close returns
// nil, and may be called again.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.dropAll(EndClosed)
	p.mu.Unlock()
	p.background.Close()
	return nil
}

// Take returns a Spare that is in order, or nil. The caller closes its connection. A Spare is for sessions. A
// cancel request needs a connection that is known to be alive and younger than its session, so it needs
// Dialer.Dial.
//
// A Spare may still be dead, because the upstream may end it at any moment. A caller that notices before it
// has received anything should call Dead, and dial.
func (p *Pool) Take() *Spare {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count == 0 || p.closed {
		return nil
	}
	// The youngest has the longest time left for the login, which began for pgbouncer when it accepted the
	// connection.
	for i, spare := range slices.Backward(p.ready) {
		p.ready = p.ready[:i]
		if !p.discardFlawed(spare, time.Now()) {
			p.used(Hit)
			return spare
		}
	}
	p.used(Miss)
	return nil
}

// Dead says that s was dead. The pool closes all other spares: what happened to s has probably happened to
// them. Dead waits for that, because an upstream that is full gets their places before it is dialled again.
func (s *Spare) Dead(ctx context.Context) {
	s.pool.noteDead()
	s.pool.awaitGone(ctx)
}

// Failed says that the dial of a session has failed. The spares are no better, and go.
func (p *Pool) Failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed(err)
}

// Suspend closes all spares. No new ones are made before Resume: the upstream is away, and something else
// finds out when it is back.
func (p *Pool) Suspend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspended = true
	p.dropAll(EndUnhealthy)
}

// Resume says that the upstream is back.
func (p *Pool) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspended = false
	p.pause.until = time.Now() // one spare at first
	p.Check()
}

// LoggedIn says that the login on s is over. Only now, and after a moment for the first statement, the pool
// makes another spare. An earlier handshake would compete with the client's login for processors, here and at
// the upstream. A login that fails or lasts does without: the pool makes a spare within a second.
func (s *Spare) LoggedIn() { time.AfterFunc(refillDelay, s.pool.Check) }

// Ready returns how many spares could be handed out now.
func (p *Pool) Ready() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready)
}

// Check makes the Pool check its connections now instead of within a second, because something may have
// changed. It does not wait for that.
func (p *Pool) Check() {
	select {
	case p.wake <- struct{}{}:
	default: // about to look
	}
}

// noteDead notes that a spare was dead after it had been handed out.
func (p *Pool) noteDead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used(Dead)
	p.failed(errDead)
}

// awaitGone waits until the spares that dropAll closes are gone, at most as long as a close may take.
func (p *Pool) awaitGone(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tlsorigin.CloseGrace)
	defer cancel()
	for ctx.Err() == nil {
		p.mu.Lock()
		left, fewer := p.opening+p.closing, p.fewer
		p.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-fewer:
		case <-ctx.Done():
		}
	}
}

// gone says that opening or closing has become less. p.mu is held.
func (p *Pool) gone() {
	close(p.fewer)
	p.fewer = make(chan struct{})
	p.Check()
}

// used tells the hook. p.mu is held.
func (p *Pool) used(use Use) {
	if p.trace.Used != nil {
		p.trace.Used(use)
	}
}
