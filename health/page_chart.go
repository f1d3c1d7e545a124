package health

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// chartHeight is that of a chart in its own units; it is one unit wide for each minute, and CSS stretches it.
const chartHeight = 40

// sessionCharts draws the last hour twice: how many clients there were, and how many came and failed.
func sessionCharts(minutes []Minute) node {
	if len(minutes) == 0 {
		return all()
	}
	var open, opened, failed []int
	for _, m := range minutes {
		open, opened, failed = append(open, m.Open), append(opened, m.Opened), append(failed, m.Failed)
	}
	first := minutes[len(minutes)-1].Start.Add(-(keptMinutes - 1) * time.Minute)
	span := "in the last " + count(len(minutes), "minute")
	return el("div.charts",
		chart("Open at one time", fmt.Sprintf("At most %d %s", slices.Max(open), span), first, open, nil),
		chart("New each minute, failed ones below the line", fmt.Sprintf("At most %d in one; %d came and %d failed %s",
			slices.Max(opened), total(opened), total(failed), span), first, opened, failed),
	)
}

func total(values []int) int {
	sum := 0
	for _, v := range values {
		sum += v
	}
	return sum
}

// chart draws a bar upwards for each minute, and one downwards if there is something in down. The figures are in words
// beside it, for a drawing says nothing to those who do not see it.
func chart(title, summary string, first time.Time, up, down []int) node {
	above, below := slices.Max(up), 0
	if down != nil {
		below = slices.Max(down)
	}
	scale := max(above+below, 1)
	line := chartHeight * float64(above) / float64(scale)
	if above+below == 0 {
		line = chartHeight
	}
	bars := func(values []int, towards float64) string {
		var path strings.Builder
		for i, v := range values {
			if v > 0 { // a bar that is too small to see would hide that there is something
				height := max(chartHeight*float64(v)/float64(scale), 1.5)
				fmt.Fprintf(&path, "M%.1f %.1fh.8v%.1fh-.8z", float64(keptMinutes-len(values)+i)+.1, line, towards*height)
			}
		}
		return path.String()
	}
	return el("figure",
		el("figcaption", el("b", text(title)), el("small", text(summary))),
		el("svg", attr("viewBox", fmt.Sprintf("0 -2 %d %d", keptMinutes, chartHeight+4)), attr("preserveAspectRatio", "none"), attr("role", "img"),
			el("title", text(title)), el("desc", text(summary)),
			el("path.up", attr("d", bars(up, -1))), el("path.down", attr("d", bars(down, 1))),
			el("path.line", attr("d", fmt.Sprintf("M0 %.1fh%d", line, keptMinutes))),
		),
		el("p.axis", attr("aria-hidden", "true"),
			el("span", text(first.UTC().Format("15:04"))), el("span", text("now"))),
	)
}
