package spares

import (
	"math/rand/v2"
	"time"
)

const (
	// maxAge is less than half of what PostgreSQL (authentication_timeout) and pgbouncer (client_login_timeout) wait
	// for a startup packet unless told otherwise, so that time is left for the login, and less than what NAT and load
	// balancers allow an idle connection.
	maxAge = 25 * time.Second
	// minAge ends learning: an upstream that waits for less than twice this is no place for spares.
	minAge = 2 * time.Second
	// ageLearnedFor is how long a shorter limit is believed before twice as much is tried: what ended the spares may have
	// been a restart.
	ageLearnedFor = 10 * time.Minute
)

// The first pause after a failure, the longest of those that double from there on, and how long after one the next
// failure still counts as the same trouble.
const (
	minPause        = time.Second
	maxPause        = 30 * time.Second
	pauseRemembered = time.Minute
)

// jitter returns a factor from 0.8 to 1.2: what was begun together by many processes must not be repeated together.
func jitter() float64 { return 0.8 + 0.4*rand.Float64() }

func stretched(d time.Duration, factor float64) time.Duration {
	return time.Duration(float64(d) * factor)
}

// ageLimit is how old spares may become, as far as their deaths have taught. The zero value has learned nothing.
type ageLimit struct {
	learned time.Duration // zero: nothing
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

// shorten notes that spares of more than that age may end by themselves.
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

// begin starts a pause, twice as long as the one before if that was lately, and returns its length.
func (b *backoff) begin(now time.Time) time.Duration {
	if !b.remembered(now) {
		b.last = 0
	}
	b.last = min(max(2*b.last, minPause), maxPause)
	wait := stretched(b.last, jitter())
	b.until = now.Add(wait)
	return wait
}

// lasts reports whether there is a pause.
func (b *backoff) lasts(now time.Time) bool { return now.Before(b.until) }

// remembered reports whether there is one, or was lately.
func (b *backoff) remembered(now time.Time) bool { return now.Before(b.until.Add(pauseRemembered)) }
