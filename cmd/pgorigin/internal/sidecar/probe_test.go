package sidecar

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/health"
)

// status returns what /statusz says.
func (r *running) status(t *testing.T) health.Snapshot {
	t.Helper()
	code, body := r.Get(t, "/statusz")
	var s health.Snapshot
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != http.StatusOK {
		t.Fatalf("%d, %v in %s", code, err, body)
	}
	return s
}

// With upstream, both endpoints wait for the first verified connection, and the log says when it is there.
func TestReadinessDependsOnTheUpstream(t *testing.T) {
	r := start(t, append(cmdtest.StartUpstream(t), "PGORIGIN_READINESS=upstream", "PGORIGIN_STARTUP_CHECK=upstream")...)
	r.Stderr.Wait(t, "upstream is up")
	for _, path := range []string{"/startupz", "/readyz"} {
		if code, body := r.Get(t, path+"?verbose"); code != http.StatusOK || !strings.Contains(body, "[+]upstream ok") {
			t.Errorf("%s = %d %q", path, code, body)
		}
	}
	if probe := r.status(t).Origins[0].Probe; probe.State != health.ProbeUp || !probe.Active || probe.IntervalSeconds != 15 {
		t.Errorf("probe is %+v", probe)
	}
	if _, body := r.Get(t, "/metrics"); !strings.Contains(body, `pgorigin_probes_total{origin="default",reason="ok"} 1`) ||
		!strings.Contains(body, `pgorigin_upstream_up{origin="default"} 1`) ||
		!strings.Contains(body, `pgorigin_upstream_connects_total{origin="default",reason="ok"} 0`) {
		t.Errorf("metrics are\n%s", body)
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

func TestNotReadyWithoutUpstream(t *testing.T) {
	env := cmdtest.StartUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + cmdtest.FreeAddr(t)
	for _, row := range []struct {
		variable       string
		startup, ready int
	}{
		{"PGORIGIN_READINESS=upstream", http.StatusOK, http.StatusServiceUnavailable},
		{"PGORIGIN_STARTUP_CHECK=upstream", http.StatusServiceUnavailable, http.StatusServiceUnavailable},
	} {
		t.Run(row.variable, func(t *testing.T) {
			r := start(t, append(env, row.variable)...)
			if line := r.Stderr.Wait(t, "upstream is down"); line["reason"] != "upstream_refused" || line["level"] != "warn" {
				t.Errorf("line is %v", line)
			}
			for path, want := range map[string]int{"/startupz": row.startup, "/readyz": row.ready, "/livez": http.StatusOK} {
				if code, body := r.Get(t, path); code != want {
					t.Errorf("%s = %d %q, want %d", path, code, body, want)
				}
			}
			if _, body := r.Get(t, "/readyz"); !strings.Contains(body, "upstream_refused since ") {
				t.Errorf("/readyz says %q", body)
			}
			if _, body := r.Get(t, "/readyz?verbose"); strings.Contains(body, "[!]upstream") {
				t.Errorf("a condition is repeated as a note:\n%s", body)
			}
			origin := r.status(t).Origins[0]
			if len(origin.Failures) != 1 || origin.Failures[0].Reason != "upstream_refused" || !strings.Contains(origin.Failures[0].Cure, "PGORIGIN_UPSTREAM_ADDR") {
				t.Errorf("failures are %+v", origin.Failures)
			}
			r.Stop()
			r.WantExit(t, cli.ExitOK)
		})
	}
}

// By default nothing is dialled before a client comes, whatever the state of the upstream.
func TestNoProbeByDefault(t *testing.T) {
	ln, err := net.Listen("tcp", cmdtest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	env := cmdtest.StartUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + ln.Addr().String()
	r := start(t, env...)
	for _, path := range []string{"/startupz", "/livez", "/readyz", "/statusz", "/metrics"} {
		if code, _ := r.Get(t, path); code != http.StatusOK {
			t.Errorf("%s = %d", path, code)
		}
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
	if clientsWait(ln) {
		t.Error("somebody has dialled")
	}
}
