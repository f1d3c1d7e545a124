package page

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxText bounds one text on the page, in runes. pgorigin's own texts are shorter.
const maxText = 1000

// text bounds s and makes visible what cannot be seen, such as control characters and those that turn the
// direction of writing.
func text(s string) string {
	if utf8.RuneCountInString(s) > maxText {
		s = string([]rune(s)[:maxText]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// now is when the page was made.
type now struct{ time time.Time }

// Moment returns t as the page shows it.
func (n now) Moment(t time.Time) moment { return moment{n.time, t} }

// moment is a time on a page that was made at now.
type moment struct{ now, t time.Time }

// IsZero reports whether the time is unknown.
func (m moment) IsZero() bool { return m.t.IsZero() }

// RFC3339 returns the time for machines.
func (m moment) RFC3339() string { return m.t.UTC().Format(time.RFC3339) }

// Day returns the date alone.
func (m moment) Day() string { return m.t.UTC().Format(time.DateOnly) }

// Clock returns the time of day, or date and time if that is not today.
func (m moment) Clock() string {
	if m.Day() == m.now.UTC().Format(time.DateOnly) {
		return m.t.UTC().Format("15:04:05")
	}
	return m.t.UTC().Format("2006-01-02 15:04")
}

// Distance returns how long ago the time was, or how far off it is.
func (m moment) Distance() string {
	if m.t.After(m.now) {
		return "in " + length(m.t.Sub(m.now))
	}
	return length(m.now.Sub(m.t)) + " ago"
}

// validity is how long a certificate is still valid.
type validity struct{ end moment }

// Expired reports whether the certificate has ended.
func (v validity) Expired() bool { return !v.end.now.Before(v.end.t) }

// Remaining returns how long the certificate is still valid, or how long ago it ended.
func (v validity) Remaining() string {
	if v.Expired() {
		return v.end.Distance()
	}
	return length(v.end.t.Sub(v.end.now)) + " left"
}

// length is d in the largest unit of which there are at least two.
func length(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// took is a short duration.
func took(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.0f ms", seconds*1000)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// limit is a duration as people set it.
func limit(seconds float64) string {
	return strconv.FormatFloat(seconds, 'f', -1, 64) + " s"
}

// times is a count of events.
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return strconv.FormatInt(n, 10) + " times"
}

// count is n with its noun. The plural of noun ends in s.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
