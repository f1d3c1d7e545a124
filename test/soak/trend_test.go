package soak

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Tolerances. Of goroutines and descriptors at rest there is none.
const (
	// heapTolerance is how much the heap may grow at rest from the warm-up to the end: maps and caches that have a bound
	// reach it late. A hundred bytes for each of the ten thousand sessions of a few minutes are more.
	heapTolerance = 512 << 10
	// residentTolerance is the same for resident memory, which the kernel and Go's scavenger hold back as they like, in
	// bytes, and residentShare of what it was.
	residentTolerance, residentShare = 4 << 20, 0.1
)

// round is what was seen of one round of load.
type round struct {
	ended time.Duration // since the beginning of the soak
	busy  []sample      // under load
	rest  sample        // behind it, when every session has ended
}

// judge returns what has grown. warm is the number of rounds that are not judged.
func judge(rounds []round, warm int) []string {
	if len(rounds) < warm+2 {
		return []string{fmt.Sprintf("%d rounds are too few to judge", len(rounds))}
	}
	var problems []string
	base, judged := rounds[warm-1].rest, rounds[warm:]
	for i := range judged {
		rest := judged[i].rest
		if rest.goroutines > base.goroutines {
			problems = append(problems, fmt.Sprintf("round %d left %d goroutines, %d before", warm+i+1, rest.goroutines, base.goroutines))
		}
		if rest.descriptors > base.descriptors {
			problems = append(problems, fmt.Sprintf("round %d left %d descriptors, %d before", warm+i+1, rest.descriptors, base.descriptors))
		}
	}
	for _, series := range []struct {
		name  string
		of    func(round) float64
		share float64
		bytes float64
	}{
		{"heap at rest", func(r round) float64 { return r.rest.heap }, 0, heapTolerance},
		{"resident memory at rest", func(r round) float64 { return r.rest.resident }, residentShare, residentTolerance},
		{"highest resident memory under load", func(r round) float64 { return r.highest().resident }, residentShare, residentTolerance},
	} {
		var points []float64
		for _, r := range judged {
			points = append(points, series.of(r))
		}
		allowed := series.bytes + series.share*points[0]
		if grown := growth(points); grown > allowed {
			problems = append(problems, fmt.Sprintf("%s grew by %s, from %s; %s are allowed", series.name, inMiB(grown), inMiB(points[0]), inMiB(allowed)))
		}
	}
	return problems
}

// growth is what a straight line through the points rises from the first to the last. Its slope is the median of the
// slopes of all pairs (Theil and Sen), so that single outliers do not count.
func growth(points []float64) float64 {
	var slopes []float64
	for i := range points {
		for k := range i {
			slopes = append(slopes, (points[i]-points[k])/float64(i-k))
		}
	}
	slices.Sort(slopes)
	return slopes[len(slopes)/2] * float64(len(points)-1)
}

// highest has the largest value of each kind under load.
func (r round) highest() sample {
	most := r.rest
	for _, s := range r.busy {
		most.sessions, most.goroutines = max(most.sessions, s.sessions), max(most.goroutines, s.goroutines)
		most.descriptors = max(most.descriptors, s.descriptors)
		most.resident, most.heap = max(most.resident, s.resident), max(most.heap, s.heap)
	}
	return most
}

func inMiB(n float64) string { return fmt.Sprintf("%.2f MiB", n/(1<<20)) }

func TestJudge(t *testing.T) {
	const warm, count = 2, 12
	for name, row := range map[string]struct {
		change func(i int, r *round)
		want   []string // one word of each problem
	}{
		"flat": {func(int, *round) {}, nil},
		"noise": {func(i int, r *round) {
			r.rest.resident += float64(i % 3 * 2 << 20)
			r.rest.heap += float64(i % 4 * 200 << 10)
		}, nil},
		"growth at once": {func(i int, r *round) { r.rest.heap += float64(min(i, warm) * 10 << 20) }, nil},
		"one goroutine":  {func(i int, r *round) { r.rest.goroutines += i / (count - 1) }, []string{"goroutines"}},
		"one descriptor": {func(i int, r *round) { r.rest.descriptors += i / (count - 1) }, []string{"descriptors"}},
		"fewer":          {func(i int, r *round) { r.rest.descriptors -= i; r.rest.goroutines -= i }, nil},
		"heap":           {func(i int, r *round) { r.rest.heap += float64(i * 100 << 10) }, []string{"heap at rest"}},
		"resident":       {func(i int, r *round) { r.rest.resident += float64(i << 20) }, []string{"memory at rest"}},
		"under load":     {func(i int, r *round) { r.busy[0].resident += float64(i * 2 << 20) }, []string{"under load"}},
		"one outlier": {func(i int, r *round) {
			if i == 7 {
				r.rest.resident *= 3
			}
		}, nil},
	} {
		var rounds []round
		for i := range count {
			r := round{busy: []sample{{sessions: 30, resident: 40 << 20}}, rest: sample{goroutines: 9, descriptors: 12, resident: 20 << 20, heap: 3 << 20}}
			row.change(i, &r)
			rounds = append(rounds, r)
		}
		got := judge(rounds, warm)
		if len(got) != len(row.want) || len(got) > 0 && !strings.Contains(got[0], row.want[0]) {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
	if got := judge(make([]round, 3), 2); len(got) != 1 {
		t.Errorf("too few rounds: %q", got)
	}
}
