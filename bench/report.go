package main

import (
	"cmp"
	"math"
	"slices"
)

// report is a whole run: what docs/performance.json holds.
type report struct {
	Machine machine
	Rounds  int
	Quick   bool
	Rows    []string // in the order of the tables
	Origins []string // labels of the builds of pgorigin
	Series  []*series
	// Earlier are the figures that were not measured but taken over from a run before, with its date.
	Earlier map[string]string `json:",omitempty"`
	// Failures are measurements that went wrong; the others stand.
	Failures []string `json:",omitempty"`
}

// series are the samples of one cell of the tables, one from each round.
type series struct {
	Figure, Case, Row, Metric, Unit string
	Samples                         []float64
	// Missing says why there are no samples; empty if there are.
	Missing string `json:",omitempty"`
}

// find returns a series, nil if it was never heard of.
func (r *report) find(figure, situation, row, metric string) *series {
	i := slices.IndexFunc(r.Series, func(s *series) bool {
		return s.Figure == figure && s.Case == situation && s.Row == row && s.Metric == metric
	})
	if i < 0 {
		return nil
	}
	return r.Series[i]
}

// takeOver completes r with the figures that only before has measured.
func (r *report) takeOver(before *report) {
	measured := r.figures()
	for _, s := range before.Series {
		if !measured[s.Figure] {
			r.Series = append(r.Series, s)
			r.noteEarlier(s.Figure, before)
		}
	}
}

// stepBack gives r the samples that an older run has, except of the fresh figures: those were measured again since r, the
// others have been compared with the older run already.
func (r *report) stepBack(older *report, fresh map[string]bool) {
	has := older.figures()
	r.Series = slices.DeleteFunc(r.Series, func(s *series) bool { return has[s.Figure] && !fresh[s.Figure] })
	for _, s := range older.Series {
		if !fresh[s.Figure] {
			r.Series = append(r.Series, s)
			r.noteEarlier(s.Figure, older)
		}
	}
}

// figures are those that r has samples of.
func (r *report) figures() map[string]bool {
	has := map[string]bool{}
	for _, s := range r.Series {
		has[s.Figure] = true
	}
	return has
}

func (r *report) noteEarlier(figure string, from *report) {
	if r.Earlier == nil {
		r.Earlier = map[string]string{}
	}
	r.Earlier[figure] = cmp.Or(from.Earlier[figure], from.Machine.Date)
}

// cell says where a sample belongs.
type cell struct{ figure, situation, row string }

func (r *report) series(c cell, m metric) *series {
	s := r.find(c.figure, c.situation, c.row, m.name)
	if s == nil {
		s = &series{Figure: c.figure, Case: c.situation, Row: c.row, Metric: m.name, Unit: m.unit}
		r.Series = append(r.Series, s)
	}
	return s
}

// add records a value for each metric; NaN means that there is no tunnel to have one.
func (r *report) add(c cell, metrics []metric, values []float64) {
	for i, m := range metrics {
		s := r.series(c, m)
		if math.IsNaN(values[i]) {
			s.Missing = noTunnel
			continue
		}
		s.Samples, s.Missing = append(s.Samples, values[i]), ""
	}
}

// miss records why there are no values. Those that there are stay.
func (r *report) miss(c cell, metrics []metric, why string) {
	for _, m := range metrics {
		if s := r.series(c, m); len(s.Samples) == 0 {
			s.Missing = why
		}
	}
}

// fail records what went wrong.
func (r *report) fail(err error) { r.Failures = append(r.Failures, err.Error()) }

// spread is a median with what lies around it.
type spread struct{ median, low, high float64 }

// spreadOf returns the median and the quartiles of samples, of which there must be one.
func spreadOf(samples []float64) spread {
	sorted := slices.Sorted(slices.Values(samples))
	return spread{median: between(sorted, 0.5), low: between(sorted, 0.25), high: between(sorted, 0.75)}
}

// between interpolates a quantile.
func between(sorted []float64, q float64) float64 {
	position := q * float64(len(sorted)-1)
	i := int(position)
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (position-float64(i))*(sorted[i+1]-sorted[i])
}

// ratioOf compares round with round, so that what changes between rounds, the machine's mood above all, falls out.
func ratioOf(a, b *series) (spread, bool) {
	if a == nil || b == nil || len(a.Samples) == 0 || len(b.Samples) == 0 {
		return spread{}, false
	}
	n := min(len(a.Samples), len(b.Samples))
	ratios := make([]float64, n)
	for i := range ratios {
		ratios[i] = a.Samples[i] / b.Samples[i]
	}
	return spreadOf(ratios), true
}

// unique keeps the first of equal values.
func unique[T cmp.Ordered](values []T) (kept []T) {
	for _, v := range values {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}
