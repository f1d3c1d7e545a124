package health

import (
	"fmt"
	"strconv"
	"time"
)

// moment shows a time, without the day if that is today, and how long ago it was or how far off it is.
func moment(now, t time.Time) node {
	if t.IsZero() {
		return text("never")
	}
	return all(clock(now, t), text(", "), el("small", text(distance(now, t))))
}

// clock shows a time alone.
func clock(now, t time.Time) node {
	layout := "15:04:05"
	if t.UTC().Format(time.DateOnly) != now.UTC().Format(time.DateOnly) {
		layout = "2006-01-02 15:04"
	}
	return el("time", attr("datetime", t.UTC().Format(time.RFC3339)), text(t.UTC().Format(layout)))
}

// day shows the date of t alone.
func day(t time.Time) node {
	return el("time", attr("datetime", t.UTC().Format(time.RFC3339)), text(t.UTC().Format(time.DateOnly)))
}

func distance(now, t time.Time) string {
	if t.After(now) {
		return "in " + length(t.Sub(now))
	}
	return length(now.Sub(t)) + " ago"
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

// took is a short duration, as exactly as people care for.
func took(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.0f ms", seconds*1000)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// count is n and what there is n of; words ending in s only.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// remaining says how much of a certificate's time is left, loudly if there is none.
func remaining(now, notAfter time.Time, days int) node {
	switch {
	case !now.Before(notAfter):
		return all(el("strong.tag.bad", text("expired")), text(" "+distance(now, notAfter)))
	case days < 1:
		return text(length(notAfter.Sub(now)) + " left")
	}
	return text(count(days, "day") + " left")
}
