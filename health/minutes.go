package health

import "time"

// keptMinutes is the number of minutes that are kept, the current one included.
const keptMinutes = 60

// minutes is a ring with a point for each of the last minutes. It needs no timer: every event and every
// reader first moves it on to the present. So an idle process sleeps.
type minutes struct {
	points  [keptMinutes]point // by minute, modulo keptMinutes
	first   int64              // the first minute of the ring, counted since 1970; zero: the ring is empty
	current int64
}

type point struct{ open, opened, failed int }

// at returns the point of now. It first fills in the minutes since the last event: open sessions were open in
// them. If the clock was set back, at returns the latest point.
func (m *minutes) at(now time.Time, open int) *point {
	minute := now.Unix() / 60
	if m.first == 0 {
		m.first, m.current = minute, minute
		*m.point(minute) = point{open: open}
	}
	m.current = max(m.current, minute-keptMinutes) // after a longer pause, no point is kept
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
