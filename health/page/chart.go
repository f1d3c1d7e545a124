package page

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// chartMinutes and chartHeight are the size of a chart in its own units: a minute is one unit wide. CSS
// stretches it.
const (
	chartMinutes = 60
	chartHeight  = 40
)

// chart is a drawing of the last hour, and the same in words.
type chart struct {
	Title, Summary string
	First          string // the time at its left edge
	Up, Down, Line string // SVG paths
}

// ViewBox returns the size of the drawing, with two units above and below.
func (chart) ViewBox() string { return fmt.Sprintf("0 -2 %d %d", chartMinutes, chartHeight+4) }

// Charts draws the last hour twice: how many sessions were open, and how many were opened and failed.
func (o origin) Charts() []chart {
	minutes := o.Sessions.Minutes
	if len(minutes) == 0 {
		return nil
	}
	var open, opened, failed []int
	for _, m := range minutes {
		open, opened, failed = append(open, m.Open), append(opened, m.Opened), append(failed, m.Failed)
	}
	span := "in the last " + count(len(minutes), "minute")
	charts := []chart{
		newChart(open, nil),
		newChart(opened, failed),
	}
	charts[0].Title = "Open sessions"
	charts[0].Summary = fmt.Sprintf("At most %d at a time %s", slices.Max(open), span)
	charts[1].Title = "New sessions per minute, failed ones below the line"
	charts[1].Summary = fmt.Sprintf("At most %d in one; %d opened and %d failed %s",
		slices.Max(opened), total(opened), total(failed), span)
	first := minutes[len(minutes)-1].Start.Add(-(chartMinutes - 1) * time.Minute)
	for i := range charts {
		charts[i].First = first.UTC().Format("15:04")
	}
	return charts
}

func total(values []int) int {
	sum := 0
	for _, v := range values {
		sum += v
	}
	return sum
}

// newChart draws a bar upwards for each minute of up, and one downwards for each of down.
func newChart(up, down []int) chart {
	above, below := slices.Max(up), 0
	if len(down) > 0 {
		below = slices.Max(down)
	}
	unit := chartHeight / float64(max(above+below, 1))
	line := unit * float64(above)
	if above+below == 0 {
		line = chartHeight
	}
	return chart{
		Up: bars(up, line, -unit), Down: bars(down, line, unit),
		Line: fmt.Sprintf("M0 %.1fh%d", line, chartMinutes),
	}
}

// bars draws a bar for each value from line on, unit for each 1. The last value is at the right edge. Even
// the smallest bar can be seen.
func bars(values []int, line, unit float64) string {
	var path strings.Builder
	for i, v := range values {
		if v == 0 {
			continue
		}
		height := float64(v) * unit
		if -1.5 < height && height < 1.5 {
			height = 1.5 * unit / max(unit, -unit)
		}
		x := float64(chartMinutes-len(values)+i) + .1
		fmt.Fprintf(&path, "M%.1f %.1fh.8v%.1fh-.8z", x, line, height)
	}
	return path.String()
}
