package tlsorigin

import (
	"context"
	"errors"
	"slices"
	"time"
)

// sparePeriod is how often spares are looked at: often enough that hardly any client meets a dead one, and no more often
// than an idle process may wake.
const sparePeriod = time.Second

// refillDelay is how long a session that was given a spare has its start for itself, which on two cores makes it a sixth to
// a third shorter. Clients that come faster than that need more than one spare.
const refillDelay = 5 * time.Millisecond

var errDud = errors.New("a spare connection turned out to be dead when it was used")

// keep looks after spares until ctx ends.
func (s *Spares) keep(ctx context.Context) {
	ticker := time.NewTicker(sparePeriod)
	defer ticker.Stop()
	for {
		s.look(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// look drops what is not in order and fills up.
func (s *Spares) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.ready = slices.DeleteFunc(s.ready, func(spare *Spare) bool { return s.discardFlawed(spare, now) })
	s.refill(now)
	s.lookUp(now)
}

// refill begins to make what is missing. After a failure one dial at a time is enough to find out how things are. s.mu is
// held, as in all that follows.
func (s *Spares) refill(now time.Time) {
	for !s.pause.lasts(now) && len(s.ready)+s.opening+s.closing < s.count {
		if s.opening > 0 && s.pause.remembered(now) {
			return
		}
		s.opening++
		era := s.era
		s.background.start(func(context.Context) { s.open(era) })
	}
}

// open makes one spare. It does not hold s.mu.
func (s *Spares) open(era context.Context) {
	conn, err := s.dialer.Dial(era, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	switch {
	case err == nil:
		s.add(era, conn.(*Conn))
	case era.Err() == nil:
		s.failed(err)
	}
	s.gone()
}

// add makes a spare of conn, unless something has happened since it was begun.
func (s *Spares) add(era context.Context, conn *Conn) {
	now := time.Now()
	spare := &Spare{Conn: conn, spares: s, born: now, limit: s.age.limit(now), stretch: jitter()}
	switch {
	case s.closed:
		_ = conn.Close()
	case era.Err() != nil:
		s.discard(SpareUnhealthy, nil, spare)
	default:
		s.ready = append(s.ready, spare)
	}
}

// discardFlawed closes spare unless it is in order, and reports whether it did.
func (s *Spares) discardFlawed(spare *Spare, now time.Time) bool {
	if !s.dialer.Current(spare.Conn) {
		s.discard(SpareDistrusted, nil, spare)
		return true
	}
	if now.Sub(spare.born) >= stretched(s.age.limit(now), spare.stretch) {
		s.discard(SpareAged, nil, spare)
		return true
	}
	err := s.probe(spare.Conn)
	if err != nil {
		s.learn(spare, err, now)
		s.rest(err, now)
		s.discard(SpareDead, err, spare)
	}
	return err != nil
}

// learn draws conclusions from how a spare died. An upstream that says so has counted from the moment at which it accepted
// the connection, and will count the login, too: half of that has to be left. One that just closes may have had a
// restart; several deaths under one limit halve it once.
func (s *Spares) learn(spare *Spare, death error, now time.Time) {
	half := spare.limit / 2
	if errors.Is(death, errSpoke) {
		half = min(half, now.Sub(spare.born)/2)
	}
	s.age.shorten(half, now)
}

// failed notes that there is no way to the upstream at present, or a doubtful one.
func (s *Spares) failed(err error) {
	s.dropAll(SpareUnhealthy)
	s.rest(err, time.Now())
}

// rest makes no new spares for a while.
func (s *Spares) rest(err error, now time.Time) {
	if s.pause.lasts(now) || s.closed {
		return
	}
	if wait := s.pause.begin(now); s.trace.Paused != nil {
		s.trace.Paused(err, wait)
	}
}

// dropAll closes all spares and breaks off those that are being made.
func (s *Spares) dropAll(end SpareEnd) {
	s.endEra()
	s.era, s.endEra = context.WithCancel(s.background.ctx)
	s.discard(end, nil, s.ready...)
	s.ready = nil
}

// discard closes spares, which are no longer in s.ready but count until they are closed.
func (s *Spares) discard(end SpareEnd, err error, spares ...*Spare) {
	s.closing += len(spares)
	for _, spare := range spares {
		if s.trace.Discarded != nil {
			s.trace.Discarded(end, time.Since(spare.born), err)
		}
		s.background.start(func(context.Context) {
			_ = spare.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.closing--
			s.gone()
		})
	}
}
