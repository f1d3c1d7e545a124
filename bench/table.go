package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// writeFigure writes the tables of one figure as Markdown: medians, quartiles, and what part of pgbouncer's figure it is.
func (r *report) writeFigure(w io.Writer, f figure) {
	for _, situation := range r.situations(f) {
		fmt.Fprintf(w, "| %s |", situation)
		for _, m := range f.metrics {
			fmt.Fprintf(w, " %s |", m.name)
		}
		fmt.Fprintf(w, "\n| --- |%s\n", strings.Repeat(" ---: |", len(f.metrics)))
		for _, name := range r.Rows {
			if r.find(f.name, situation, name, f.metrics[0].name) != nil {
				fmt.Fprintf(w, "| %s |%s\n", name, r.cells(f, situation, name))
			}
		}
		fmt.Fprintln(w)
	}
}

// situations are those of a figure that were measured.
func (r *report) situations(f figure) []string {
	var found []string
	for _, s := range r.Series {
		if s.Figure == f.name {
			found = append(found, s.Case)
		}
	}
	return unique(found)
}

// cells are one line of a table. What keeps all of them empty is said once.
func (r *report) cells(f figure, situation, row string) string {
	line, said := "", ""
	for _, m := range f.metrics {
		s := r.find(f.name, situation, row, m.name)
		switch {
		case s == nil:
			line += " |"
		case len(s.Samples) == 0 && s.Missing == said:
			line += " – |"
		case len(s.Samples) == 0:
			said = s.Missing
			line += " " + said + " |"
		default:
			line += " " + s.text() + r.relative(s) + " |"
		}
	}
	return line
}

// text is "median unit (quartile to quartile)"; a single sample has no quartiles.
func (s *series) text() string {
	v := spreadOf(s.Samples)
	text := withUnit(v.median, s.Unit)
	if len(s.Samples) > 1 {
		text += " (" + digits(v.low) + " to " + digits(v.high) + ")"
	}
	return text
}

// relative says what part of pgbouncer's figure s is.
func (r *report) relative(s *series) string {
	if s.Row == rowSidecar {
		return ""
	}
	ratio, ok := ratioOf(s, r.find(s.Figure, s.Case, rowSidecar, s.Metric))
	if !ok || math.IsNaN(ratio.median) || math.IsInf(ratio.median, 0) {
		return "" // pgbouncer's is zero
	}
	return fmt.Sprintf(" **×%.2f**", ratio.median)
}

func withUnit(v float64, unit string) string {
	return strings.TrimSuffix(digits(v)+" "+unit, " ")
}

// digits writes three significant digits, and groups of thousands.
func digits(v float64) string {
	if math.Abs(v) >= 1000 {
		scale := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
		text := fmt.Sprintf("%.0f", math.Round(v/scale)*scale)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	}
	decimals := 0
	if v != 0 {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	return fmt.Sprintf("%.*f", min(decimals, 3), v)
}
