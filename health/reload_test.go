package health

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReloadMetrics(t *testing.T) {
	m := NewMetrics(Options{Origins: []string{"default"}})
	h := Handler(new(Status), m)
	want := func(when string, lines ...string) {
		t.Helper()
		text := scrape(t, h)
		for _, line := range lines {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("%s: no %s in\n%s", when, line, pgoriginLines(text))
			}
		}
	}
	want("at first", `pgorigin_tls_reload_failing{origin="default"} 0`, `pgorigin_tls_reloads_total{origin="default",result="error"} 0`)
	m.Loaded("default", time.Unix(1000, 0))
	m.Reloaded("default", ReloadUnchanged, time.Unix(1100, 0))
	m.Reloaded("default", ReloadFailed, time.Unix(1200, 0))
	want("after a failure", `pgorigin_tls_reload_failing{origin="default"} 1`, `pgorigin_tls_last_reload_timestamp_seconds{origin="default"} 1000`,
		`pgorigin_tls_reloads_total{origin="default",result="unchanged"} 1`, `pgorigin_tls_reloads_total{origin="default",result="error"} 1`)
	m.Reloaded("default", ReloadOK, time.Unix(1300, 0))
	want("at last", `pgorigin_tls_reload_failing{origin="default"} 0`, `pgorigin_tls_last_reload_timestamp_seconds{origin="default"} 1300`,
		`pgorigin_tls_reloads_total{origin="default",result="ok"} 1`)
}

// A note is for people: it shows in verbose answers, whatever those are, and changes no status code.
func TestNotes(t *testing.T) {
	s, text := new(Status), ""
	s.AddNote("reload", func() string { return text })
	h := Handler(s, NewMetrics(Options{}))
	for _, row := range []struct {
		enter         func()
		code          int
		body, verbose string
	}{
		{func() {}, http.StatusServiceUnavailable, "listener: not bound yet\n", "[-]listener failed: not bound yet\nreadyz check failed\n"},
		{s.Started, http.StatusOK, "ok\n", "[+]listener ok\nreadyz check passed\n"},
		{func() { text = "CA file is empty" }, http.StatusOK, "ok\n", "[+]listener ok\n[!]reload: CA file is empty\nreadyz check passed\n"},
	} {
		row.enter()
		if got := ask(t, h, http.MethodGet, "/readyz"); got.code != row.code || got.body != row.body {
			t.Errorf("/readyz = %d %q", got.code, got.body)
		}
		if got := ask(t, h, http.MethodGet, "/readyz?verbose"); got.code != row.code || got.body != row.verbose {
			t.Errorf("/readyz?verbose = %d %q", got.code, got.body)
		}
	}
	if err := s.Ready(); err != nil {
		t.Errorf("Ready() = %v", err)
	}
}
