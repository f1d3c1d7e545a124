package metrics

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/pgorigin/pgorigin/health"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// busyMetrics is a process with one origin that has seen one event of each kind.
func busyMetrics() *Metrics {
	s := new(health.Status)
	m := New(Options{
		Version: "v1.2.3", Revision: "abc1234", GoVersion: "go1.26.0",
		Origins:     []string{"default"},
		Reasons:     []string{"ok", "draining", "upstream_refused"},
		DialReasons: []string{"ok", "upstream_refused", "cert_expired"}, CertificateReasons: []string{"cert_expired"},
		LoginMethods:  []string{"none", "scram-sha-256"},
		CancelEffects: []string{"canceled", "finished", "none"},
		AddressStates: []string{"good", "refused"},
		Status:        s,
	})
	s.Started()
	m.SessionOpened("default")
	m.SessionOpened("default")
	m.LoggedIn("default", "scram-sha-256", 3*time.Millisecond)
	m.SessionEnded("default", SessionEnd{"ok", ClosedByClient, 90 * time.Second, 1500, 250_000})
	m.Probed("default", "upstream_refused")
	m.SessionsOffLoop("default", func() int { return 0 })
	m.WatchProber("default", func() health.Probe {
		return health.Probe{State: health.ProbeUp, LastSuccess: time.Unix(1_700_000_001, 0)}
	})
	m.WaitingClients("default", func() int { return 3 })
	m.Waited("default", WaitServed, 2*time.Second)
	m.WaitProbed("default", "upstream_refused")
	m.WatchAddresses("default", func() []string { return []string{"refused", "good", "good"} })
	m.CancelRequest("default", "ok")
	m.CancelUnknownKey("default")
	m.AcceptFailed("default")
	m.Dial("default", "ok", 2*time.Millisecond, time.Millisecond, 20*time.Millisecond)
	m.Dial("default", "upstream_refused", 100*time.Microsecond, 0, 0)
	m.Handshake("default", "1.3", "X25519MLKEM768")
	m.Handshake("default", "1.3", "CurveID(4711)")
	m.CertificateNotAfter("default", health.RoleUpstream, time.Unix(1_800_000_000, 0))
	m.Loaded("default", time.Unix(1_700_000_000, 0))
	m.Reloaded("default", health.ReloadOK, time.Unix(1_700_000_060, 0))
	return m
}

func TestMetricsText(t *testing.T) {
	got := pgoriginLines(scrape(t, busyHandler()))
	const file = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the text differs from %s (run with -update and read the diff):\n%s", file, got)
	}
}

// Prometheus asks for OpenMetrics; older scrapers and people get plain text.
func TestFormats(t *testing.T) {
	h := busyHandler()
	for _, row := range []struct{ accept, contentType, last string }{
		{"", "text/plain; version=0.0.4; charset=utf-8", ""},
		{"*/*", "text/plain; version=0.0.4; charset=utf-8", ""},
		{"application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0; charset=utf-8", "# EOF\n"},
	} {
		got := ask(t, h, row.accept, "")
		contentType, _, _ := strings.Cut(got.Header().Get("Content-Type"), "; escaping=")
		body := got.Body.String()
		if got.Code != http.StatusOK || contentType != row.contentType || strings.HasSuffix(body, "# EOF\n") != (row.last != "") {
			t.Errorf("Accept %q: %d %v\n%.200s", row.accept, got.Code, got.Header(), body)
		}
	}
}

// A scraper that asks for gzip gets the very text that others get.
func TestGzip(t *testing.T) {
	h := busyHandler()
	got := ask(t, h, "", "gzip")
	if encoding := got.Header().Get("Content-Encoding"); encoding != "gzip" {
		t.Fatalf("Content-Encoding is %q", encoding)
	}
	compressed := got.Body.Len()
	unzipped, err := gzip.NewReader(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	if plain := pgoriginLines(scrape(t, h)); pgoriginLines(string(text)) != plain {
		t.Errorf("the compressed text differs:\n%s", text)
	}
	if compressed*4 > len(text) {
		t.Errorf("%d bytes were compressed to %d", len(text), compressed)
	}
}

// Scrapes beyond maxScrapes are refused while others wait for a slow collector, and a slow one is given up.
func TestScrapesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		release := make(chan struct{})
		m.SessionsOffLoop("default", func() int { <-release; return 0 })
		h, codes := m.Handler(), make(chan int, maxScrapes)
		for range maxScrapes {
			go func() { codes <- ask(t, h, "", "").Code }()
		}
		synctest.Wait()
		if got := ask(t, h, "", ""); got.Code != http.StatusServiceUnavailable {
			t.Errorf("one more gets %d", got.Code)
		}
		for range maxScrapes {
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("a slow scrape gets %d", code)
			}
		}
		close(release)
	})
}

// A scrape that takes too long can still say so.
func TestScrapesEndBeforeTheServerHangsUp(t *testing.T) {
	if server := health.NewServer(nil); server.WriteTimeout <= scrapeTimeout {
		t.Errorf("the server hangs up after %v, a scrape may take %v", server.WriteTimeout, scrapeTimeout)
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	m := busyMetrics()
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEverySeriesExistsAtZero guards rate() and absent(): a series that appears with its first event loses
// that event.
func TestEverySeriesExistsAtZero(t *testing.T) {
	fresh := func() map[string]bool {
		m := New(Options{
			Origins: []string{"default", "audit"}, Reasons: []string{"ok", "draining"}, DialReasons: []string{"ok"},
		})
		return seriesOf(scrape(t, m.Handler()))
	}()
	for _, origin := range []string{"default", "audit"} {
		for _, series := range []string{
			`pgorigin_sessions_open{origin="%"}`,
			`pgorigin_sessions_total{origin="%",reason="draining"}`,
			`pgorigin_session_duration_seconds_count{origin="%"}`,
			`pgorigin_sessions_closed_total{by="client",origin="%"}`,
			`pgorigin_sessions_closed_total{by="upstream",origin="%"}`,
			`pgorigin_sessions_closed_total{by="pgorigin",origin="%"}`,
			`pgorigin_upstream_connect_duration_seconds_count{origin="%",phase="login"}`,
			`pgorigin_probes_total{origin="%",reason="ok"}`,
			`pgorigin_bytes_total{direction="to_client",origin="%"}`,
			`pgorigin_bytes_total{direction="to_upstream",origin="%"}`,
			`pgorigin_cancel_requests_total{origin="%",result="ok"}`,
			`pgorigin_cancel_requests_total{origin="%",result="unknown_key"}`,
			`pgorigin_accept_errors_total{origin="%"}`,
			`pgorigin_upstream_connects_total{origin="%",reason="ok"}`,
			`pgorigin_upstream_connect_duration_seconds_count{origin="%",phase="sslrequest"}`,
			`pgorigin_tls_handshakes_total{group="P-521",origin="%",version="1.2"}`,
			`pgorigin_tls_resumptions_total{origin="%"}`,
			`pgorigin_tls_reloads_total{origin="%",result="unchanged"}`,
			`pgorigin_tls_reload_failing{origin="%"}`,
			`pgorigin_tls_handshakes_total{group="other",origin="%",version="1.3"}`,
		} {
			if s := strings.ReplaceAll(series, "%", origin); !fresh[s] {
				t.Errorf("no series %s before the first event", s)
			}
		}
	}
}

// TestCertificateTimesAreAbsentUntilKnown: at zero, "ends within a week" would be true of every new pod.
func TestCertificateTimesAreAbsentUntilKnown(t *testing.T) {
	m := New(Options{Origins: []string{"default"}})
	if text := scrape(t, m.Handler()); strings.Contains(text, "not_after_timestamp_seconds{") {
		t.Error("a certificate time exists before a certificate was seen")
	}
}

// TestUpstreamUpIsAbsentUntilKnown: at zero, every new pod would look like an outage.
func TestUpstreamUpIsAbsentUntilKnown(t *testing.T) {
	m := New(Options{Origins: []string{"default"}})
	p := new(health.Prober)
	m.WatchProber("default", p.Snapshot)
	h := m.Handler()
	if text := pgoriginLines(scrape(t, h)); strings.Contains(text, "pgorigin_upstream_up") || strings.Contains(text, "last_verified") {
		t.Errorf("something is known before the first try:\n%s", text)
	}
	p.Observed(&health.Problem{Reason: "upstream_refused"}, time.Second)
	text := scrape(t, h)
	if !strings.Contains(text, `pgorigin_upstream_up{origin="default"} 0`) || strings.Contains(text, "last_verified_timestamp_seconds{") {
		t.Errorf("after a failure:\n%s", pgoriginLines(text))
	}
	p.Observed(nil, time.Second)
	text = scrape(t, h)
	if !strings.Contains(text, `pgorigin_upstream_up{origin="default"} 1`) || !strings.Contains(text, "last_verified_timestamp_seconds{") {
		t.Errorf("after a success:\n%s", pgoriginLines(text))
	}
}

func TestOwnRegistryHasRuntimeMetrics(t *testing.T) {
	text := scrape(t, busyHandler())
	for _, name := range []string{"go_goroutines ", "go_memstats_heap_alloc_bytes ", "process_open_fds ", "process_start_time_seconds "} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("no %s", name)
		}
	}
}

func TestStateGaugesFollowStatus(t *testing.T) {
	s := new(health.Status)
	h := New(Options{Status: s}).Handler()
	for _, step := range []struct {
		enter           func()
		ready, draining string
	}{
		{func() {}, "0", "0"},
		{s.Started, "1", "0"},
		{s.Drain, "0", "1"},
	} {
		step.enter()
		text := scrape(t, h)
		if !strings.Contains(text, "\npgorigin_ready "+step.ready+"\n") ||
			!strings.Contains(text, "\npgorigin_draining "+step.draining+"\n") {
			t.Errorf("want ready %s, draining %s in\n%s", step.ready, step.draining, pgoriginLines(text))
		}
	}
}

func busyHandler() http.Handler { return busyMetrics().Handler() }

// ask sends a request with these headers, unless they are empty.
func ask(t *testing.T, h http.Handler, accept, encoding string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	for key, value := range map[string]string{"Accept": accept, "Accept-Encoding": encoding} {
		if value != "" {
			req.Header.Set(key, value)
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	return ask(t, h, "", "").Body.String()
}

// pgoriginLines drops what differs from run to run: the metrics of the Go runtime and the process.
func pgoriginLines(text string) string {
	var kept bytes.Buffer
	for line := range strings.Lines(text) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if strings.HasPrefix(name, "pgorigin_") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func seriesOf(text string) map[string]bool {
	series := map[string]bool{}
	for line := range strings.Lines(text) {
		if name, _, ok := strings.Cut(line, " "); ok {
			series[name] = true
		}
	}
	return series
}

func TestReloadMetrics(t *testing.T) {
	m := New(Options{Origins: []string{"default"}})
	h := m.Handler()
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
	m.Reloaded("default", health.ReloadUnchanged, time.Unix(1100, 0))
	m.Reloaded("default", health.ReloadFailed, time.Unix(1200, 0))
	want("after a failure", `pgorigin_tls_reload_failing{origin="default"} 1`, `pgorigin_tls_last_reload_timestamp_seconds{origin="default"} 1000`,
		`pgorigin_tls_reloads_total{origin="default",result="unchanged"} 1`, `pgorigin_tls_reloads_total{origin="default",result="error"} 1`)
	m.Reloaded("default", health.ReloadOK, time.Unix(1300, 0))
	want("at last", `pgorigin_tls_reload_failing{origin="default"} 0`, `pgorigin_tls_last_reload_timestamp_seconds{origin="default"} 1300`,
		`pgorigin_tls_reloads_total{origin="default",result="ok"} 1`)
}

func TestSpareMetrics(t *testing.T) {
	m := New(Options{Origins: []string{"default", "audit"}})
	m.WarmSpares("default", func() int { return 2 })
	m.WarmSpares("audit", func() int { return 0 })
	m.SpareUsed("default", "hit")
	m.SpareDiscarded("audit", "age")
	m.SpareDiscarded("audit", "boredom")
	page := scrape(t, m.Handler())
	for _, want := range []string{
		`pgorigin_warm_spares_ready{origin="default"} 2`,
		`pgorigin_warm_spares_ready{origin="audit"} 0`,
		`pgorigin_warm_spare_checkouts_total{origin="default",result="hit"} 1`,
		`pgorigin_warm_spare_checkouts_total{origin="audit",result="miss"} 0`,
		`pgorigin_warm_spares_discarded_total{cause="age",origin="audit"} 1`,
		`pgorigin_warm_spares_discarded_total{cause="other",origin="audit"} 1`,
	} {
		if !strings.Contains(page, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
