package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWindowTakesWhatEndedInIt(t *testing.T) {
	folder := t.TempDir()
	logs := map[string]string{
		// Two clients: transactions end at 10.0, 10.2 and 10.5 s, and at 10.1 and 12 s.
		"log.7":   "0 1 100 0 10 0\n0 2 200 0 10 200000\n0 3 300 0 10 500000\n",
		"log.7.1": "1 1 400 0 10 100000\n1 2 500 0 12 0 17\n",
	}
	for name, text := range logs {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &window{length: time.Second, cpu: 3 * time.Millisecond}
	if err := w.readLogs(folder, time.Unix(10, 50_000_000), time.Unix(11, 50_000_000)); err != nil {
		t.Fatal(err)
	}
	if len(w.latencies) != 3 || w.latencies[0] != 200*time.Microsecond || w.latencies[2] != 400*time.Microsecond {
		t.Errorf("latencies %v, want those of the second, the third and the first of client 1", w.latencies)
	}
	if len(w.gaps) != 2 || w.gaps[0] != 200*time.Millisecond || w.gaps[1] != 300*time.Millisecond {
		t.Errorf("gaps %v, want 200 and 300 ms", w.gaps)
	}
	if w.perSecond() != 3 || w.cpuPer() != 1000 {
		t.Errorf("%v/s, %v µs each, want 3 and 1000", w.perSecond(), w.cpuPer())
	}
	if err := os.WriteFile(filepath.Join(folder, "log.8"), []byte("0 1 skipped 0 10 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.readLogs(folder, time.Unix(10, 0), time.Unix(11, 0)); err == nil {
		t.Error("a line without numbers passes")
	}
}

func TestSpreadAndRatio(t *testing.T) {
	if got := spreadOf([]float64{5, 1, 4, 2, 3}); got != (spread{median: 3, low: 2, high: 4}) {
		t.Errorf("spread %+v", got)
	}
	if got := spreadOf([]float64{7}); got != (spread{median: 7, low: 7, high: 7}) {
		t.Errorf("spread of one %+v", got)
	}
	// Round by round: the machine was twice as slow in the second, and the ratio does not see it.
	got, ok := ratioOf(&series{Samples: []float64{2, 4}}, &series{Samples: []float64{4, 8}})
	if !ok || got != (spread{median: 0.5, low: 0.5, high: 0.5}) {
		t.Errorf("ratio %+v, %v", got, ok)
	}
	if _, ok := ratioOf(&series{Samples: []float64{1}}, nil); ok {
		t.Error("a ratio to nothing")
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0123: "0.012", 0.25: "0.250", 1.2345: "1.23", 32.04: "32.0", 187.6: "188", 1234: "1,230", 12_345: "12,300", 1_234_567: "1,230,000",
	} {
		if got := digits(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

// budgetRun has one round, in which pgorigin used one and a half times the CPU of pgbouncer and was in the middle between
// it and a direct connection.
func budgetRun() *report {
	r := &report{Rows: []string{rowDirect, "pgorigin", rowSidecar}, Origins: []string{"pgorigin"}}
	for row, value := range map[string]float64{rowDirect: 50, "pgorigin": 60, rowSidecar: 70} {
		r.add(cell{"latency", "SELECT 1", row}, []metric{{name: "p50", unit: "µs"}}, []float64{value})
	}
	for row, value := range map[string]float64{"pgorigin": 30, rowSidecar: 20} {
		r.add(cell{"tps", "8 clients", row}, []metric{{name: "CPU per transaction", unit: "µs"}}, []float64{value})
	}
	return r
}

func TestVerdicts(t *testing.T) {
	var b strings.Builder
	(&history{Runs: []*report{budgetRun()}}).writeBudgets(&b)
	for _, want := range []string{
		"| CPU per small transaction, 8 clients, of pgbouncer's | 1.00 | 1.50 | **not met**, 50 % above |",
		"of what pgbouncer adds | 1.00 | 0.500 | met, 50 % below |",
		"| binary | 16.0 MB | – | not measured |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line with %q in\n%s", want, b.String())
		}
	}
}

func TestHistoryForgetsQuickRuns(t *testing.T) {
	h := &history{}
	for _, r := range []*report{{Rounds: 1}, {Rounds: 2, Quick: true}, {Rounds: 3}, {Rounds: 4}} {
		h.add(r)
	}
	if len(h.Runs) != 2 || h.Runs[0].Rounds != 4 || h.Runs[1].Rounds != 3 {
		t.Errorf("%d runs are kept, the first with %d rounds; want those with 4 and 3", len(h.Runs), h.Runs[0].Rounds)
	}
	h.add(&report{Rounds: 5, Quick: true})
	if len(h.Runs) != 2 || h.Runs[0].Rounds != 5 {
		t.Errorf("a quick run is not shown first")
	}
}

func TestRunTakesOverWhatItHasNot(t *testing.T) {
	one := func(date, figure string, sample float64) *report {
		return &report{Machine: machine{Date: date}, Series: []*series{{Figure: figure, Samples: []float64{sample}}}}
	}
	h := new(history)
	h.add(one("monday", "idle", 1))
	h.add(one("tuesday", "tps", 2))
	h.add(one("friday", "tps", 3))
	last := h.Runs[0]
	if len(last.Series) != 2 || last.Series[0].Samples[0] != 3 || last.Series[1].Samples[0] != 1 || last.Earlier["idle"] != "monday" || len(last.Earlier) != 1 {
		t.Errorf("the last run has %d series, earlier %v", len(last.Series), last.Earlier)
	}
}

// A figure is compared with the time before that it was measured, whatever was measured in between.
func TestRunIsComparedWithTheOneBefore(t *testing.T) {
	both := func(date string, idle, tps float64) *report {
		return &report{Machine: machine{Date: date}, Series: []*series{
			{Figure: "idle", Samples: []float64{idle}}, {Figure: "tps", Samples: []float64{tps}},
		}}
	}
	h := new(history)
	h.add(both("monday", 1, 2))
	h.add(both("tuesday", 3, 4))
	h.add(&report{Machine: machine{Date: "friday"}, Series: []*series{{Figure: "tps", Samples: []float64{5}}}})
	for i, want := range []struct{ idle, tps float64 }{{3, 5}, {1, 4}} {
		idle, tps := h.Runs[i].find("idle", "", "", ""), h.Runs[i].find("tps", "", "", "")
		if idle == nil || tps == nil || idle.Samples[0] != want.idle || tps.Samples[0] != want.tps {
			t.Errorf("run %d has idle %v and tps %v, want %v", i, idle, tps, want)
		}
	}
	if before := h.Runs[1]; len(before.Series) != 2 || before.Earlier["idle"] != "monday" {
		t.Errorf("the run before has %d series, earlier %v", len(before.Series), before.Earlier)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"-only", "speed"}, {"-update", "-rows", "direct"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

func TestPlotIsXML(t *testing.T) {
	text := plot("a < b", []panel{{title: "& more", axis: "µs", bars: []bar{
		{label: "one", spread: spread{median: 1234, low: 1000, high: 1500}, mine: true}, {label: "two", missing: "not <there>"},
	}}})
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	for _, want := range []string{"1,230", "not &lt;there&gt;", `class="whisker"`, "prefers-color-scheme:dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestScale(t *testing.T) {
	for top, want := range map[float64][2]float64{1: {0.2, 1}, 4.1: {1, 5}, 37: {10, 40}, 120: {50, 150}, 1.3e6: {5e5, 1.5e6}} {
		step, end := scale([]bar{{spread: spread{median: top / 2, high: top}}})
		if step != want[0] || end != want[1] {
			t.Errorf("axis up to %v: steps of %v to %v, want %v", top, step, end, want)
		}
	}
}
