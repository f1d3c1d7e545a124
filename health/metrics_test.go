package health

import (
	"bytes"
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// busyMetrics is a process with one origin that has seen one event of each kind.
func busyMetrics() (*Status, *Metrics) {
	s := new(Status)
	m := NewMetrics(Options{
		Version: "v1.2.3", Revision: "abc1234", GoVersion: "go1.26.0",
		Origins:     []string{"default"},
		Reasons:     []string{"ok", "draining", "upstream_refused"},
		DialReasons: []string{"ok", "upstream_refused", "cert_expired"}, LoginMethods: []string{"none", "scram-sha-256"},
		Status: s,
	})
	s.Started()
	m.SessionOpened("default")
	m.SessionOpened("default")
	m.LoggedIn("default", "scram-sha-256", 3*time.Millisecond)
	m.SessionEnded("default", SessionEnd{"ok", ClosedByClient, 90 * time.Second, 1500, 250_000})
	m.Probed("default", "upstream_refused")
	m.SessionsOffLoop("default", func() int { return 0 })
	p := new(Prober)
	m.WatchProber("default", p)
	p.note(nil, time.Unix(1_700_000_000, 0), time.Second)
	m.CancelRequest("default", "ok")
	m.CancelUnknownKey("default")
	m.AcceptFailed("default")
	m.Dial("default", "ok", 2*time.Millisecond, time.Millisecond, 20*time.Millisecond)
	m.Dial("default", "upstream_refused", 100*time.Microsecond, 0, 0)
	m.Handshake("default", "1.3", "X25519MLKEM768")
	m.Handshake("default", "1.3", "CurveID(4711)")
	m.CertificateNotAfter("default", RoleUpstream, time.Unix(1_800_000_000, 0))
	m.Loaded("default", time.Unix(1_700_000_000, 0))
	m.Reloaded("default", ReloadOK, time.Unix(1_700_000_060, 0))
	return s, m
}

func TestMetricsText(t *testing.T) {
	golden(t, "testdata/metrics.golden", pgoriginLines(scrape(t, busyHandler())))
}

func TestMetricsAreWellNamed(t *testing.T) {
	_, m := busyMetrics()
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEverySeriesExistsAtZero guards rate() and absent(): a series that appears with its first event loses that event.
func TestEverySeriesExistsAtZero(t *testing.T) {
	fresh := func() map[string]bool {
		m := NewMetrics(Options{
			Origins: []string{"default", "audit"}, Reasons: []string{"ok", "draining"}, DialReasons: []string{"ok"},
		})
		return seriesOf(scrape(t, Handler(new(Status), m)))
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
	m := NewMetrics(Options{Origins: []string{"default"}})
	if text := scrape(t, Handler(new(Status), m)); strings.Contains(text, "not_after_timestamp_seconds{") {
		t.Error("a certificate time exists before a certificate was seen")
	}
}

// TestUpstreamUpIsAbsentUntilKnown: at zero, every new pod would look like an outage.
func TestUpstreamUpIsAbsentUntilKnown(t *testing.T) {
	m := NewMetrics(Options{Origins: []string{"default"}})
	p := new(Prober)
	m.WatchProber("default", p)
	h := Handler(new(Status), m)
	if text := pgoriginLines(scrape(t, h)); strings.Contains(text, "pgorigin_upstream_up") || strings.Contains(text, "last_verified") {
		t.Errorf("something is known before the first try:\n%s", text)
	}
	p.Observed(refused, time.Second)
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
	s := new(Status)
	h := Handler(s, NewMetrics(Options{Status: s}))
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

func busyHandler() http.Handler { return Handler(busyMetrics()) }

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	return ask(t, h, http.MethodGet, "/metrics").body
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
