package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

func TestSparesAreCountedAndLogged(t *testing.T) {
	w := newWatched()
	trace := w.sparesTrace()
	trace.Used(tlsorigin.SpareHit)
	trace.Used(tlsorigin.SpareHit)
	trace.Used(tlsorigin.SpareDud)
	trace.Discarded(tlsorigin.SpareAged, 22*time.Second, nil)
	trace.Discarded(tlsorigin.SpareDead, 3*time.Second, errors.New("the upstream closed the connection"))
	trace.Paused(&tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamRefused, Addr: "db:6432", Text: "refused"}, 2*time.Second)
	w.metrics.WarmSpares(config.DefaultOrigin, func() int { return 3 })
	w.wantMetrics(t, map[string]string{
		`pgorigin_warm_spares_ready{origin="default"}`:                             "3",
		`pgorigin_warm_spare_checkouts_total{origin="default",result="hit"}`:       "2",
		`pgorigin_warm_spare_checkouts_total{origin="default",result="miss"}`:      "0",
		`pgorigin_warm_spare_checkouts_total{origin="default",result="dead"}`:      "1",
		`pgorigin_warm_spares_discarded_total{cause="age",origin="default"}`:       "1",
		`pgorigin_warm_spares_discarded_total{cause="dead",origin="default"}`:      "1",
		`pgorigin_warm_spares_discarded_total{cause="unhealthy",origin="default"}`: "0",
	})
	lines := w.logs.TakeAll()
	for _, line := range lines {
		if line.Level != zapcore.DebugLevel {
			t.Errorf("%s at level %v", line.Message, line.Level)
		}
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines, want one for the dead hit, for each end and for the pause", len(lines))
	}
	if dead := lines[2].ContextMap(); dead["cause"] != "dead" || dead["age"] != 3.0 || dead["error"] != "the upstream closed the connection" {
		t.Errorf("line of a dead spare: %v", dead)
	}
}

// TestSpareWordsAreThoseOfMetrics: one that health does not know would be counted under another name.
func TestSpareWordsAreThoseOfMetrics(t *testing.T) {
	w := newWatched()
	for _, use := range tlsorigin.SpareUses() {
		if w.metric(`pgorigin_warm_spare_checkouts_total{origin="default",result="`+string(use)+`"}`) != "0" {
			t.Errorf("no series for %s", use)
		}
	}
	for _, end := range tlsorigin.SpareEnds() {
		if w.metric(`pgorigin_warm_spares_discarded_total{cause="`+string(end)+`",origin="default"}`) != "0" {
			t.Errorf("no series for %s", end)
		}
	}
}

func TestTooManySparesAreDoubtful(t *testing.T) {
	for settings, want := range map[string]string{
		"WARM_SPARES=5 MAX_SESSIONS=50": "",
		"WARM_SPARES=5":                 "",
		"WARM_SPARES=1 MAX_SESSIONS=3":  "",
		"WARM_SPARES=5 MAX_SESSIONS=49": "PGORIGIN_WARM_SPARES=5 is more than a tenth of PGORIGIN_MAX_SESSIONS=49",
	} {
		env := []string{upstream}
		for setting := range strings.FieldsSeq(settings) {
			env = append(env, config.Prefix+setting)
		}
		s, _, problems := config.Load(env)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		doubts := s.SpareWarnings()
		if want == "" && len(doubts) > 0 || want != "" && (len(doubts) != 1 || !strings.HasPrefix(doubts[0].Text, want)) {
			t.Errorf("%s: doubts %v, want %q", settings, doubts, want)
		}
	}
}
