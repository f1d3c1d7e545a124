package health

import "time"

// keptMinutes is how far back the chart of sessions goes.
const keptMinutes = 60

// minutes is a ring of what happened in each of the last minutes. It has no clock: every event, and every reader, first
// moves it on to the present, so that a process with nothing to do is not woken to note that.
type minutes struct {
	points  [keptMinutes]point // by minute, modulo keptMinutes
	first   int64              // minute since 1970 in which the ring began; zero: it has not
	current int64
}

type point struct{ open, opened, failed int }

// at returns the point of now. Minutes in which nothing happened since the last event had open clients all the time. A
// clock that was set back adds to the minute that was reached before.
func (m *minutes) at(now time.Time, open int) *point {
	minute := now.Unix() / 60
	if m.first == 0 {
		m.first, m.current = minute, minute
		*m.point(minute) = point{open: open}
	}
	m.current = max(m.current, minute-keptMinutes) // a longer pause leaves nothing of the ring
	for m.current < minute {
		m.current++
		*m.point(m.current) = point{open: open}
	}
	return m.point(m.current)
}

func (m *minutes) point(minute int64) *point { return &m.points[minute%keptMinutes] }

// list returns the minutes that are kept, the oldest first.
func (m *minutes) list() []Minute {
	list := []Minute{}
	for minute := max(m.first, m.current-keptMinutes+1); minute <= m.current; minute++ {
		p := m.point(minute)
		list = append(list, Minute{
			Start: time.Unix(minute*60, 0).UTC(), Open: p.open, Opened: p.opened, Failed: p.failed,
		})
	}
	return list
}
