package main

import (
	"encoding/json"
	"html"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/check"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestOneFindingOnEverySurface: client, log, status, page, conditions, metrics and check say the same about
// one fault.
func TestOneFindingOnEverySurface(t *testing.T) {
	t.Parallel()
	for reason, variable := range map[string]string{
		"upstream_refused":   "PGORIGIN_UPSTREAM_ADDR=" + refusingAddr(t),
		"upstream_dns":       "PGORIGIN_UPSTREAM_ADDR=nowhere.invalid:6432",
		"tls_refused":        "PGORIGIN_UPSTREAM_ADDR=" + startScripted(t, answersSSL("N")).addr,
		"cert_name_mismatch": "PGORIGIN_TLS_SERVER_NAME=other.test",
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			env := append(cmdtest.StartUpstream(t), variable, "PGORIGIN_UPSTREAM_WAIT=off") // check does not wait
			r := startRun(t, env...)
			message, hint := refusedClient(t, r.Listen)
			text := strings.TrimPrefix(message, "pgorigin: ")
			line := r.Stderr.Wait(t, "session ended")
			if logged, _ := line["error"].(string); line["reason"] != reason || !strings.HasPrefix(logged, text) || line["cure"] != hint || hint == "" {
				t.Errorf("the client gets %q and %q, the line is %v", message, hint, line)
			}
			wantFindingOnPages(t, r, health.Problem{Reason: reason, Text: text, Cure: hint})

			var report check.Report
			if err := json.Unmarshal([]byte(runWith(t, env, "check", "--json").stdout), &report); err != nil {
				t.Fatal(err)
			}
			if report.Failed == nil || report.Failed.Reason != reason || !sameCure(report.Failed.Cure, hint) || !strings.HasSuffix(text, report.Failed.Text) {
				t.Errorf("check says %+v, want %s, %q and %q", report.Failed, reason, text, hint)
			}
		})
	}
}

// sameCure reports whether the cure of check is that of a client. check may have tried it, or another one before.
func sameCure(checked, hint string) bool {
	tried, _, has := strings.Cut(checked, " (tried: it connects)")
	return strings.HasSuffix(checked, hint) || has && strings.HasPrefix(hint, tried)
}

// wantFindingOnPages asks the health endpoints for the only failure that there was.
func wantFindingOnPages(t *testing.T, r *cmdtest.Running, want health.Problem) {
	t.Helper()
	_, body := r.Get(t, "/statusz")
	var status health.Snapshot
	if err := json.Unmarshal([]byte(body), &status); err != nil || len(status.Origins[0].Failures) != 1 || status.Origins[0].Probe.Problem == nil {
		t.Fatalf("%v in %s", err, body)
	}
	cures := status.Origins[0].Failures[0].Cures
	for surface, p := range map[string]health.Problem{
		"latest failure": status.Origins[0].Failures[0].Problem, "probe": *status.Origins[0].Probe.Problem,
	} {
		if p.Reason != want.Reason || p.Text != want.Text || p.Cure != want.Cure || strings.Join(p.Cures, " ") != want.Cure {
			t.Errorf("%s is %+v, want %+v", surface, p, want)
		}
	}
	_, page := r.Get(t, "/")
	cmdtest.Contains(t, html.UnescapeString(page), append(cures, want.Reason, want.Text)...)
	_, ready := r.Get(t, "/readyz?verbose")
	cmdtest.Contains(t, ready, "[!]upstream: "+want.Text+" ("+want.Reason+" since ", "). "+want.Cure)
	_, metrics := r.Get(t, "/metrics")
	cmdtest.Contains(t, metrics, `pgorigin_upstream_up{origin="default"} 0`,
		`pgorigin_sessions_total{origin="default",reason="`+want.Reason+`"} 1`)
}

// refusedClient connects and returns the message and the hint with which it is refused.
func refusedClient(t *testing.T, addr string) (message, hint string) {
	t.Helper()
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write(pgtest.Startup("user", "app", "database", "shop")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || len(answer) < 5 || answer[0] != 'E' {
		t.Fatalf("the client reads %q, %v", answer, err)
	}
	for field := range strings.SplitSeq(string(answer[5:]), "\x00") {
		switch {
		case strings.HasPrefix(field, "M"):
			message = field[1:]
		case strings.HasPrefix(field, "H"):
			hint = field[1:]
		}
	}
	return message, hint
}
