package tlsorigin

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// Spares keeps connections of a Dialer ready ahead of their use: verified, with nothing sent on them yet. Its Dial hands
// them out. Each is a client to the upstream: a process of PostgreSQL, one of max_client_conn of pgbouncer. NewSpares makes
// it; its methods may be called concurrently.
type Spares struct {
	dialer *Dialer
	count  int
	trace  SparesTrace

	probe      func(*Conn) error
	names      spareNames
	background *background
	wake       chan struct{} // has room for one: keep is to look before its time

	mu               sync.Mutex
	closed           bool
	ready            []*Spare        // the oldest first
	opening, closing int             // those count, too
	fewer            chan struct{}   // closed, and replaced, when one of them has come to its end
	era              context.Context // of dials: dropAll ends it and begins another
	endEra           context.CancelFunc
	age              spareAge
	pause            backoff
}

// SparesTrace holds hooks that Spares runs. Any may be nil. They must neither block nor call Spares.
type SparesTrace struct {
	// Used is called for each Dial and each Fresh.
	Used func(SpareUse)
	// Discarded is called for each spare that is closed unused, with its age. The error says what a dead one died of.
	Discarded func(end SpareEnd, age time.Duration, err error)
	// Paused is called when no new spare is made for a while, because of err.
	Paused func(err error, wait time.Duration)
}

// SpareUse says whether a spare was there when it was wanted.
type SpareUse string

// What came of a Dial.
const (
	SpareHit  SpareUse = "hit"
	SpareMiss SpareUse = "miss" // none was ready
	SpareDud  SpareUse = "dead" // a hit that turned out to be dead: Fresh was called
)

// SpareUses returns all of them.
func SpareUses() []SpareUse { return []SpareUse{SpareHit, SpareMiss, SpareDud} }

// SpareEnd says why a spare was closed unused.
type SpareEnd string

// The ends of spares.
const (
	SpareAged       SpareEnd = "age"
	SpareDead       SpareEnd = "dead"      // the upstream ended it, or spoke before it was asked
	SpareDistrusted SpareEnd = "trust"     // it was verified under a state that is no longer in force
	SpareMoved      SpareEnd = "address"   // the name of the upstream no longer means its address
	SpareUnhealthy  SpareEnd = "unhealthy" // a dial failed, or another spare was a dud
	SpareClosed     SpareEnd = "closed"    // Close
)

// SpareEnds returns all of them.
func SpareEnds() []SpareEnd {
	return []SpareEnd{SpareAged, SpareDead, SpareDistrusted, SpareMoved, SpareUnhealthy, SpareClosed}
}

// Spare is a connection that was made ahead of its use.
type Spare struct {
	*Conn
	spares  *Spares
	born    time.Time
	limit   time.Duration // of its age, when it was made
	stretch float64       // of any limit, so that those that were made together do not end together
}

// NewSpares returns Spares of d that keeps count connections ready from Start on. With a count of zero it keeps none, and
// its Dial is that of d.
func NewSpares(d *Dialer, count int, trace SparesTrace) *Spares {
	s := &Spares{
		dialer: d, count: count, trace: trace,
		probe: probeSpare, names: newSpareNames(d), background: newBackground(), wake: make(chan struct{}, 1), fewer: make(chan struct{}),
	}
	s.era, s.endEra = context.WithCancel(s.background.ctx)
	return s
}

// Start begins to make spares. It must be called once at most; Close ends what it began.
func (s *Spares) Start() {
	if s.count > 0 {
		s.background.start(s.keep)
	}
}

// Close closes all spares and waits until that is done: a quarter of a second at most. Dial goes on to work, by
// fresh connections. It returns nil, and may be called again.
func (s *Spares) Close() error {
	s.mu.Lock()
	s.closed = true
	s.dropAll(SpareClosed)
	s.mu.Unlock()
	s.background.close()
	return nil
}

// Dial returns a *Spare if there is one and it is in order, else what Dialer.Dial returns. It is for
// sessions: a cancel request needs a connection that is known to be alive and younger than its session, so
// Dialer.Dial.
//
// A spare may be dead all the same, for the upstream may end it at any moment. Whoever notices before it has got anything
// from it should call Fresh.
func (s *Spares) Dial(ctx context.Context) (net.Conn, error) {
	if spare := s.take(); spare != nil {
		return spare, nil
	}
	return s.dial(ctx)
}

// Fresh dials anew, because c turned out to be dead; closing c remains with the caller. All other
// spares go, too, and first: whatever happened to c has probably happened to them, and an upstream that lets nobody in for
// want of room gets theirs.
func (c *Spare) Fresh(ctx context.Context) (net.Conn, error) {
	c.spares.dud()
	c.spares.awaitGone(ctx)
	return c.spares.dial(ctx)
}

// LoggedIn says that the login on c is over. Only now, and after a moment for the first statement, another spare is made in
// its place: a handshake meanwhile would compete for processors, here and at the upstream, with those for whose sake there
// are spares. For a login that fails or lasts, a second is enough.
func (c *Spare) LoggedIn() { time.AfterFunc(refillDelay, c.spares.Look) }

// Ready returns how many spares could be handed out now.
func (s *Spares) Ready() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready)
}

// Look makes Spares look at its connections now instead of within a second, because something may have changed. It does
// not wait for that.
func (s *Spares) Look() {
	select {
	case s.wake <- struct{}{}:
	default: // about to look
	}
}

// take returns the youngest spare that is in order, or nil. The youngest has the longest time left for the
// login, which for pgbouncer began when it accepted the connection.
func (s *Spares) take() *Spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 || s.closed {
		return nil
	}
	for i, spare := range slices.Backward(s.ready) {
		s.ready = s.ready[:i]
		if !s.discardFlawed(spare, time.Now()) {
			s.used(SpareHit)
			return spare
		}
	}
	s.used(SpareMiss)
	return nil
}

// dial makes a connection for a caller of Dial. When there is no way to the upstream, spares are no better.
func (s *Spares) dial(ctx context.Context) (net.Conn, error) {
	conn, err := s.dialer.Dial(ctx, nil)
	var failure *Error
	if errors.As(err, &failure) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed(failure)
	}
	return conn, err
}

// dud notes that a spare was dead which had been handed out.
func (s *Spares) dud() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used(SpareDud)
	s.failed(errDud)
}

// awaitGone waits for the end of what dropAll ends, but not longer than an end may take.
func (s *Spares) awaitGone(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	for ctx.Err() == nil {
		s.mu.Lock()
		left, fewer := s.opening+s.closing, s.fewer
		s.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-fewer:
		case <-ctx.Done():
		}
	}
}

// gone says that there is less in opening or closing; s.mu is held.
func (s *Spares) gone() {
	close(s.fewer)
	s.fewer = make(chan struct{})
	s.Look()
}

// used tells the hook; s.mu is held.
func (s *Spares) used(use SpareUse) {
	if s.trace.Used != nil {
		s.trace.Used(use)
	}
}
