package spares

import (
	"math/rand/v2"
	"time"
)

const (
	// maxAge is less than half of what PostgreSQL (authentication_timeout) and pgbouncer
	// (client_login_timeout) wait for a startup packet by default. So time is left for the login. It is also
	// less than what NAT and load balancers allow an idle connection.
	maxAge = 25 * time.Second
	// minAge is the shortest limit. An upstream that waits for less than twice this time needs no spares.
	minAge = 2 * time.Second
	// ageLearnedFor is how long a shorter limit holds before twice as much is tried. A restart may have ended
	// the spares.
	ageLearnedFor = 10 * time.Minute
)

const (
	minPause        = time.Second      // the first pause after a failure; pauses double from there on
	maxPause        = 30 * time.Second // the longest
	pauseRemembered = time.Minute      // a failure within this time after a pause doubles the next
)

// jitter returns a factor from 0.8 to 1.2, so that many processes that begin together do not repeat together.
func jitter() float64 { return 0.8 + 0.4*rand.Float64() }

func stretched(d time.Duration, factor float64) time.Duration {
	return time.Duration(float64(d) * factor)
}

// ageLimit is how old spares may become. It learns from their deaths. The zero value has learned nothing.
type ageLimit struct {
	learned time.Duration // zero means that nothing was learned
	since   time.Time
}

// limit returns how old spares may become.
func (a *ageLimit) limit(now time.Time) time.Duration {
	if a.learned == 0 {
		return maxAge
	}
	if now.Sub(a.since) >= ageLearnedFor {
		a.learned, a.since = min(2*a.learned, maxAge), now
	}
	return a.learned
}

// shorten notes that the upstream may end spares that are older than to.
func (a *ageLimit) shorten(to time.Duration, now time.Time) {
	if to = max(to, minAge); to <= a.limit(now) {
		a.learned, a.since = to, now
	}
}

// backoff spaces attempts after failures. The zero value has seen none.
type backoff struct {
	last  time.Duration // pause, without jitter
	until time.Time
}

// begin starts a pause and returns its length. It is twice as long as the one before, if that is still
// remembered.
func (b *backoff) begin(now time.Time) time.Duration {
	if !b.remembered(now) {
		b.last = 0
	}
	b.last = min(max(2*b.last, minPause), maxPause)
	wait := stretched(b.last, jitter())
	b.until = now.Add(wait)
	return wait
}

// lasts reports whether a pause is under way.
func (b *backoff) lasts(now time.Time) bool { return now.Before(b.until) }

// remembered reports whether a pause is under way or ended less than pauseRemembered ago.
func (b *backoff) remembered(now time.Time) bool { return now.Before(b.until.Add(pauseRemembered)) }
