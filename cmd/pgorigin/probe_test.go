package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

func TestBadProbeSettings(t *testing.T) {
	for _, row := range []badValue{
		{"READINESS=remote", "expected local or upstream"},
		{"READINESS=upsteam", "did you mean upstream?"},
		{"STARTUP_CHECK=local", "expected none or upstream"},
		{"PROBE_INTERVAL=15", "did you mean 15s?"},
		{"PROBE_INTERVAL=0", "expected a duration above zero"},
		{"PROBE_INTERVAL=100ms", "expected at least 1s; each probe is a TLS handshake"},
	} {
		row.check(t)
	}
}

func TestProbeDoubts(t *testing.T) {
	for settings, want := range map[string]int{
		"PGORIGIN_READINESS=upstream PGORIGIN_HEALTH_ADDR=off":     1,
		"PGORIGIN_STARTUP_CHECK=upstream PGORIGIN_HEALTH_ADDR=off": 1,
		"PGORIGIN_HEALTH_ADDR=off":                                 0,
		"PGORIGIN_READINESS=upstream":                              0,
	} {
		s, _, problems := load(append(strings.Fields(settings), upstream))
		if got := s.doubts(); len(got) != want || len(problems) > 0 {
			t.Errorf("%s: doubts %v, problems %v", settings, got, problems)
		}
	}
}

// status returns what /statusz says.
func (r *running) status(t *testing.T) health.Snapshot {
	t.Helper()
	code, body := r.get(t, "/statusz")
	var s health.Snapshot
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != http.StatusOK {
		t.Fatalf("%d, %v in %s", code, err, body)
	}
	return s
}

// With upstream, both endpoints wait for the first verified connection, and the log says when it is there.
func TestReadinessDependsOnTheUpstream(t *testing.T) {
	r := start(t, append(startUpstream(t), "PGORIGIN_READINESS=upstream", "PGORIGIN_STARTUP_CHECK=upstream")...)
	r.stderr.wait(t, "upstream is up")
	for _, path := range []string{"/startupz", "/readyz"} {
		if code, body := r.get(t, path+"?verbose"); code != http.StatusOK || !strings.Contains(body, "[+]upstream ok") {
			t.Errorf("%s = %d %q", path, code, body)
		}
	}
	if probe := r.status(t).Origins[0].Probe; probe.State != health.ProbeUp || !probe.Active || probe.IntervalSeconds != 15 {
		t.Errorf("probe is %+v", probe)
	}
	if _, body := r.get(t, "/metrics"); !strings.Contains(body, `pgorigin_probes_total{origin="default",reason="ok"} 1`) ||
		!strings.Contains(body, `pgorigin_upstream_up{origin="default"} 1`) ||
		!strings.Contains(body, `pgorigin_upstream_connects_total{origin="default",reason="ok"} 0`) {
		t.Errorf("metrics are\n%s", body)
	}
	r.stop()
	r.wantExit(t, exitOK)
}

func TestNotReadyWithoutUpstream(t *testing.T) {
	env := startUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + freeAddr(t)
	for _, row := range []struct {
		variable       string
		startup, ready int
	}{
		{"PGORIGIN_READINESS=upstream", http.StatusOK, http.StatusServiceUnavailable},
		{"PGORIGIN_STARTUP_CHECK=upstream", http.StatusServiceUnavailable, http.StatusServiceUnavailable},
	} {
		t.Run(row.variable, func(t *testing.T) {
			r := start(t, append(env, row.variable)...)
			if line := r.stderr.wait(t, "upstream is down"); line["reason"] != "upstream_refused" || line["level"] != "warn" {
				t.Errorf("line is %v", line)
			}
			for path, want := range map[string]int{"/startupz": row.startup, "/readyz": row.ready, "/livez": http.StatusOK} {
				if code, body := r.get(t, path); code != want {
					t.Errorf("%s = %d %q, want %d", path, code, body, want)
				}
			}
			if _, body := r.get(t, "/readyz"); !strings.Contains(body, "upstream_refused since ") {
				t.Errorf("/readyz says %q", body)
			}
			if _, body := r.get(t, "/readyz?verbose"); strings.Contains(body, "[!]upstream") {
				t.Errorf("a condition is repeated as a note:\n%s", body)
			}
			origin := r.status(t).Origins[0]
			if len(origin.Failures) != 1 || origin.Failures[0].Reason != "upstream_refused" || !strings.Contains(origin.Failures[0].Cure, "PGORIGIN_UPSTREAM_ADDR") {
				t.Errorf("failures are %+v", origin.Failures)
			}
			r.stop()
			r.wantExit(t, exitOK)
		})
	}
}

// By default nothing is dialled before a client comes, whatever the state of the upstream.
func TestNoProbeByDefault(t *testing.T) {
	ln, err := net.Listen("tcp", freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	env := startUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + ln.Addr().String()
	r := start(t, env...)
	for _, path := range []string{"/startupz", "/livez", "/readyz", "/statusz", "/metrics"} {
		if code, _ := r.get(t, path); code != http.StatusOK {
			t.Errorf("%s = %d", path, code)
		}
	}
	r.stop()
	r.wantExit(t, exitOK)
	if clientsWait(ln) {
		t.Error("somebody has dialled")
	}
}

// What a session finds out is shown, too: as a note where readiness does not depend on it.
func TestSessionsTellTheStatus(t *testing.T) {
	w := newWatched()
	trace := w.sessionTrace()
	end := func(result pgwire.SessionResult) {
		trace.Accepted(someClient())
		trace.Ended(someClient(), result)
	}
	refused := &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamRefused, Addr: "db:6432", Text: "nobody listens there", Err: errors.New("secret cause")}
	end(pgwire.SessionResult{Phase: pgwire.PhaseDial, Reason: "upstream_refused", Err: refused})
	probe := w.prober.Snapshot()
	if probe.State != health.ProbeDown || probe.Problem.Reason != "upstream_refused" || probe.Problem.Text != "upstream db:6432: nobody listens there" {
		t.Errorf("after a failed dial: %+v", probe)
	}
	trace.Accepted(someClient())
	trace.UpstreamReady(someClient(), securedConn{state: verifiedState()}, time.Millisecond)
	if w.prober.Snapshot().State != health.ProbeDown {
		t.Error("up before the login has shown that the client certificate is accepted")
	}
	trace.Authenticated(someClient())
	if probe := w.prober.Snapshot(); probe.State != health.ProbeUp {
		t.Errorf("after a login: %+v", probe)
	}
	trace.Ended(someClient(), pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK})
	w.wantMetrics(t, map[string]string{`pgorigin_upstream_connect_duration_seconds_count{origin="default",phase="login"}`: "1"})

	rejected := &tlsorigin.Error{Kind: tlsorigin.ReasonClientCertRejected, Addr: "db:6432", Text: "unknown CA"}
	end(pgwire.SessionResult{Phase: pgwire.PhaseAuth, Reason: "client_cert_rejected", Err: rejected})
	if probe := w.prober.Snapshot(); probe.Failures != 1 {
		t.Errorf("after a rejected client certificate: %+v", probe)
	}
	end(pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: "upstream_gone", Err: &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamGone}})
	cancel := someClient()
	cancel.Cancel = true
	trace.Accepted(cancel)
	trace.Ended(cancel, pgwire.SessionResult{Phase: pgwire.PhaseDial, Reason: "upstream_refused", Err: refused})
	if probe := w.prober.Snapshot(); probe.Problem.Reason != "client_cert_rejected" {
		t.Errorf("an established session, or a cancel request, was taken for a try: %+v", probe)
	}
	var o health.OriginSnapshot
	w.record.Describe(&o)
	if len(o.Failures) != 3 || o.Sessions.Open != 0 || o.Sessions.Total != 5 || o.Cancels.UnknownKey != 1 {
		t.Errorf("status is %+v", o)
	}
	for _, f := range o.Failures {
		if strings.Contains(f.Text, "secret") {
			t.Errorf("a cause that is for the log alone is shown: %q", f.Text)
		}
	}
}

// Leaves do not know one another, so both have the words.
func TestClosersAreThoseOfMetrics(t *testing.T) {
	for got, want := range map[pgwire.Closer]string{
		pgwire.ClosedByClient: metrics.ClosedByClient, pgwire.ClosedByUpstream: metrics.ClosedByUpstream, pgwire.ClosedByPgorigin: metrics.ClosedByPgorigin,
	} {
		if string(got) != want {
			t.Errorf("%q is %q in metrics", got, want)
		}
	}
}
