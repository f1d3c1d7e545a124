package e2e

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// A server that takes no logins proves its identity like any other. One session finds out, and from then on
// the probes see it, without any session. They also see its end, because a pod that is not ready may get no
// session at all.
func TestReadinessSeesAServerThatTakesNoLogins(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{
		Settings: []string{"hot_standby = off"}, Files: map[string]string{"standby.signal": "\n"}, Ready: "entering standby mode",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { postgres.Stop() }()
	origin := startOrigin(t, postgres.Addr, noWait, "PGORIGIN_READINESS=upstream", "PGORIGIN_STARTUP_CHECK=upstream", "PGORIGIN_PROBE_INTERVAL=1s")
	wantStatus(ctx, t, origin, "before the first session", map[string]int{"/startupz": 200, "/readyz": 200})

	if answer := refusal(ctx, t, origin.Addr); answer.Code != "57P03" {
		t.Errorf("a client is told %s %s", answer.Code, answer.Message)
	}
	if line, err := origin.Log.AwaitLine(ctx, `"upstream is down"`); err != nil || !strings.Contains(line, `"reason":"server_starting"`) {
		t.Errorf("the log says %q, %v", line, err)
	}
	wantStatus(ctx, t, origin, "during recovery", map[string]int{"/startupz": 200, "/livez": 200, "/readyz": 503})
	if _, page, err := origin.Get(ctx, "/"); err != nil || !strings.Contains(page, "Not working") || !strings.Contains(page, "not accepting connections") {
		t.Errorf("the page says %v\n%s", err, page)
	}

	postgres.Stop()
	if err := postgres.Write("standby.signal", ""); err != nil {
		t.Fatal(err)
	}
	postgres.Settle()
	if err := postgres.Start(ctx); err != nil {
		t.Fatal(err)
	}
	err = servers.Poll(ctx, func() error {
		status, body, err := origin.Get(ctx, "/readyz")
		if err == nil && status != http.StatusOK {
			err = errors.New(body)
		}
		return err
	})
	if err != nil {
		t.Errorf("the server has started, and /readyz says: %v", err)
	}
	if log := postgres.Log.String(); strings.Contains(log, "authentication failed") || strings.Contains(log, "expected password response") {
		t.Errorf("the probes leave errors in the log of the server:\n%s", postgres.Log.Tail(30))
	}
}
