package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Nobody runs the benchmarks every day, so this does: once through everything, for moments. It looks at whether there is a
// value wherever one belongs, never at how large it is.
func TestQuickRunHasEveryFigure(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	samples := filepath.Join(t.TempDir(), "samples.json")
	var table bytes.Buffer
	if err := run(ctx, []string{"-quick", "-rounds", "1", "-json", samples}, &table, t.Output()); err != nil {
		t.Fatalf("%v\n%s", err, table.String())
	}
	text, err := os.ReadFile(samples)
	if err != nil {
		t.Fatal(err)
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	for _, f := range figures() {
		if len(r.situations(f)) < max(1, len(f.situations)) {
			t.Errorf("%s: only %q were measured", f.name, r.situations(f))
		}
		for _, situation := range r.situations(f) {
			wantValues(t, r, f, situation)
		}
	}
	for _, b := range budgets() {
		// What pgbouncer adds to a latency may be lost in the noise of a moment.
		if _, ok := b.measure(r, "pgorigin"); !ok && !strings.HasPrefix(b.text, "latency added") {
			t.Errorf("budget %q was not measured", b.text)
		}
	}
	if !strings.Contains(table.String(), "| pgorigin |") {
		t.Errorf("no row of pgorigin in what was printed:\n%s", table.String())
	}
}

// wantValues checks one table: every row that belongs there has a value in every column, or one of the known reasons.
func wantValues(t *testing.T, r *report, f figure, situation string) {
	t.Helper()
	mayBeMissing := func(why string) bool {
		return why == noTunnel || why == noPlus || why == onlyTLS || f.name == "syscalls" && strings.HasPrefix(why, errNotHere.Error())
	}
	for _, row := range r.Rows {
		belongs := !strings.Contains(row, ", ") || f.connects
		if row == rowDirect && f.name == "idle" {
			belongs = false
		}
		for _, m := range f.metrics {
			s := r.find(f.name, situation, row, m.name)
			switch {
			case s == nil && !belongs:
			case s == nil:
				t.Errorf("%s, %s: no %s of %s", f.name, situation, m.name, row)
			case len(s.Samples) == 0 && !mayBeMissing(s.Missing):
				t.Errorf("%s, %s: no %s of %s because of %q", f.name, situation, m.name, row, s.Missing)
			}
		}
	}
}

// docs/performance.md and the plots are made from docs/performance.json, and nothing else.
func TestDocumentationIsRendered(t *testing.T) {
	past, err := readHistory("..")
	if err != nil {
		t.Fatal(err)
	}
	files, err := past.files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || string(got) != want {
			t.Errorf("%s is not what go run ./bench -render makes of %s (%v)", name, samplesFile, err)
		}
	}
}
