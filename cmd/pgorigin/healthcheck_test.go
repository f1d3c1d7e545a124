package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/health"
)

func TestHealthcheck(t *testing.T) {
	status := new(health.Status)
	srv := httptest.NewServer(health.Handler(status, http.NotFoundHandler(), http.NotFoundHandler()))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	_, port, _ := strings.Cut(addr, ":")

	ask := func(hostPort string, args ...string) outcome {
		t.Helper()
		// The health command of a container must not depend on other variables.
		env := []string{"PGORIGIN_HEALTH_ADDR=" + hostPort, "PGORIGIN_DIAL_TIMEOUT=nonsense", "HTTP_PROXY=http://192.0.2.1:1"}
		return runWith(t, env, append([]string{"healthcheck"}, args...)...)
	}
	wantFine := func(got outcome) {
		t.Helper()
		if got != (outcome{}) {
			t.Errorf("%+v, want silence and 0", got)
		}
	}
	wantFailure := func(got outcome, text string) {
		t.Helper()
		if got.code != cli.ExitFailed || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, text) {
			t.Errorf("%+v, want 1 and a line with %q", got, text)
		}
	}

	wantFine(ask(addr))
	wantFailure(ask(addr, "--ready"), "/readyz answered 503: listener: not bound yet")
	status.Started()
	wantFine(ask(addr, "--ready"))
	for _, every := range []string{":" + port, "0.0.0.0:" + port, "localhost:" + port} {
		wantFine(ask(every, "--ready"))
	}
	status.Drain()
	wantFine(ask(addr))
	wantFailure(ask(addr, "--ready"), "draining: told to stop")

	srv.Close()
	wantFailure(ask(addr), "connection refused")
	wantFailure(ask("off"), "PGORIGIN_HEALTH_ADDR=off: there is nothing to ask")
	if got := ask("nowhere"); got.code != cli.ExitConfig || !strings.Contains(got.stderr, "PGORIGIN_HEALTH_ADDR: saw") {
		t.Errorf("%+v, want %d", got, cli.ExitConfig)
	}
}

// TestHealthcheckOfAStranger: another program on that port cannot write to the terminal.
func TestHealthcheckOfAStranger(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("\x1b[2Jline\nline" + strings.Repeat("x", 1<<20)))
	}))
	defer srv.Close()
	got := runWith(t, []string{"PGORIGIN_HEALTH_ADDR=" + strings.TrimPrefix(srv.URL, "http://")}, "healthcheck")
	if got.code != cli.ExitFailed || strings.Contains(got.stderr, "\x1b") || strings.Count(got.stderr, "\n") != 1 || len(got.stderr) > 4<<10 {
		t.Errorf("code %d, %d bytes on stderr: %.200q", got.code, len(got.stderr), got.stderr)
	}
}
