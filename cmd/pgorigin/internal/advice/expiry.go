package advice

import (
	"time"
)

// Urgency says how soon a certificate has to be replaced.
type Urgency int

// The urgencies.
const (
	NotUrgent Urgency = iota
	Soon
	Now // it has expired, or is about to
)

// A certificate is urgent with so much time left, or with such a part of its life left if that is shorter.
// Otherwise a certificate that lives for hours would be urgent for all of its life.
const (
	soon, soonPart = 14 * 24 * time.Hour, 4
	now, nowPart   = 3 * 24 * time.Hour, 16
)

// Expiry returns how urgent a certificate is at the time at.
func Expiry(notBefore, notAfter, at time.Time) Urgency {
	left, life := notAfter.Sub(at), notAfter.Sub(notBefore)
	switch {
	case left < min(now, life/nowPart):
		return Now
	case left < min(soon, life/soonPart):
		return Soon
	}
	return NotUrgent
}
