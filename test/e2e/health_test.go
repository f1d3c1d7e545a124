package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/test/servers"
)

// wantStatus compares the status codes of endpoints.
func wantStatus(ctx context.Context, t *testing.T, origin *servers.Origin, when string, want map[string]int) {
	t.Helper()
	for path, code := range want {
		if status, body, err := origin.Get(ctx, path); err != nil || status != code {
			t.Errorf("%s: %s answers %d %q, %v, want %d", when, path, status, body, err, code)
		}
	}
}

// snapshot returns what /statusz says about the only origin.
func snapshot(ctx context.Context, t *testing.T, origin *servers.Origin) health.OriginSnapshot {
	t.Helper()
	_, body, err := origin.Get(ctx, "/statusz")
	if err != nil {
		t.Fatal(err)
	}
	var all health.Snapshot
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all.Origins) != 1 {
		t.Fatalf("/statusz is %s: %v", body, err)
	}
	return all.Origins[0]
}

// With the upstream gone, readiness that was asked to depend on it ends after three probes, and comes back with it: within
// one interval by a probe.
func TestUpstreamGoneAndBack(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	ctx := testContext(t)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { postgres.Stop() }()
	origin := startOrigin(t, postgres.Addr, noWait, "PGORIGIN_READINESS=upstream", "PGORIGIN_STARTUP_CHECK=upstream", "PGORIGIN_PROBE_INTERVAL="+interval.String())
	all := map[string]int{"/startupz": 200, "/livez": 200, "/readyz": 200}
	wantStatus(ctx, t, origin, "with the upstream", all)

	postgres.Stop()
	if line, err := origin.Log.AwaitLine(ctx, `"upstream is down"`); err != nil || !strings.Contains(line, `"reason":"upstream_refused"`) {
		t.Errorf("the log says %q, %v", line, err)
	}
	wantStatus(ctx, t, origin, "without the upstream", map[string]int{"/startupz": 200, "/livez": 200, "/readyz": 503})
	if probe := snapshot(ctx, t, origin).Probe; probe.Failures != 3 || probe.Since.IsZero() {
		t.Errorf("probe is %+v", probe)
	}
	if answer := refusal(ctx, t, origin.Addr); answer.Code != "57P03" || !strings.Contains(answer.Message, "refused") {
		t.Errorf("a client is told %s %s", answer.Code, answer.Message)
	}

	if err := postgres.Start(ctx); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	err = servers.Poll(ctx, func() error {
		status, body, err := origin.Get(ctx, "/readyz")
		if err == nil && status != http.StatusOK {
			err = errors.New(body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(back)
	t.Logf("ready %v after the upstream, which is probed every %v", took, interval)
	if took > interval+time.Second { // the second is for a busy machine
		t.Errorf("ready only %v after the upstream, which is probed every %v", took, interval)
	}
	wantStatus(ctx, t, origin, "with the upstream again", all)
}

// A client that gets through makes the pod ready at once, however long the interval is.
func TestClientEndsTheOutage(t *testing.T) {
	ctx := testContext(t)
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { bouncer.Stop() }()
	bouncer.Stop()
	origin, err := shared.lab.Launch(shared.binary, bouncer.Addr, "PGORIGIN_READINESS=upstream", "PGORIGIN_PROBE_INTERVAL=1h")
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Stop()
	if _, err := origin.Log.AwaitLine(ctx, `"upstream is down"`); err != nil {
		t.Fatal(err)
	}
	wantStatus(ctx, t, origin, "without the upstream", map[string]int{"/startupz": 200, "/readyz": 503})
	if err := bouncer.Start(ctx); err != nil {
		t.Fatal(err)
	}
	conn := connect(ctx, t, origin.Addr)
	mustExec(ctx, t, conn, "SELECT 1")
	wantStatus(ctx, t, origin, "after a client", map[string]int{"/readyz": 200})
}

// complaint matches what servers log about a client that left in disorder.
var complaint = regexp.MustCompile(`(?i)incomplete|could not|reset by peer|broken pipe|ssl error|unexpected eof|handshake failed|warning|fatal`)

// A probe looks to the server like a client that has thought better of it, not like one that broke.
func TestProbesLeaveNoTrace(t *testing.T) {
	ctx := testContext(t)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { postgres.Stop() }()
	bouncer, err := shared.lab.PgBouncer(ctx, postgres, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { bouncer.Stop() }()
	for name, server := range map[string]struct {
		addr string
		log  func() string
	}{
		"postgres":  {postgres.Addr, func() string { return postgres.Log.String() }},
		"pgbouncer": {bouncer.Addr, func() string { return bouncer.Log.String() }},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(server.log())
			origin := startOrigin(t, server.addr, "PGORIGIN_READINESS=upstream", "PGORIGIN_PROBE_INTERVAL=1s")
			const probes = 2
			err := servers.Poll(ctx, func() error {
				_, body, err := origin.Get(ctx, "/metrics")
				if err == nil && !strings.Contains(body, fmt.Sprintf(`pgorigin_probes_total{origin="default",reason="ok"} %d`, probes)) {
					err = errors.New("not enough probes yet")
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(server.log()[before:]) {
				if complaint.MatchString(line) {
					t.Errorf("the server complains: %s", line)
				}
			}
			t.Logf("the server says of %d probes:\n%s", probes, server.log()[before:])
		})
	}
}

// Who ended a session is counted, as is what each phase of a login took.
func TestWhoClosed(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr)
	for _, end := range []struct {
		by   string
		make func()
	}{
		{"client", func() {
			if err := connect(ctx, t, origin.Addr).Close(ctx); err != nil {
				t.Fatal(err)
			}
		}},
		{"upstream", func() {
			conn := connect(ctx, t, origin.Addr)
			if _, err := shared.postgres.Exec(ctx, fmt.Sprintf("SELECT pg_terminate_backend(%d)", conn.PgConn().PID())); err != nil {
				t.Fatal(err)
			}
			// A client that reads the error leaves, perhaps before the server does; this one waits for the end.
			if _, err := io.Copy(io.Discard, conn.PgConn().Conn()); err != nil {
				t.Errorf("read the end: %v", err)
			}
			_ = conn.PgConn().Conn().Close()
		}},
		{"upstream", func() { refusal(ctx, t, origin.Addr, "database=nowhere") }},
	} {
		before := counted(ctx, t, origin, end.by)
		end.make()
		err := servers.Poll(ctx, func() error {
			if now := counted(ctx, t, origin, end.by); now != before+1 {
				return fmt.Errorf("closed by %s: %d, was %d", end.by, now, before)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if counted(ctx, t, origin, "pgorigin") != 0 {
		t.Error("pgorigin has ended a session")
	}
	_, body, _ := origin.Get(ctx, "/metrics")
	for _, phase := range []string{"tcp", "sslrequest", "tls", "login"} {
		if strings.Contains(body, `pgorigin_upstream_connect_duration_seconds_count{origin="default",phase="`+phase+`"} 0`) {
			t.Errorf("no %s was measured", phase)
		}
	}
}

// counted reads pgorigin_sessions_closed_total.
func counted(ctx context.Context, t *testing.T, origin *servers.Origin, by string) (n int) {
	t.Helper()
	_, body, err := origin.Get(ctx, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	series := `pgorigin_sessions_closed_total{by="` + by + `",origin="default"} `
	_, rest, ok := strings.Cut(body, series)
	if _, err := fmt.Sscan(rest, &n); !ok || err != nil {
		t.Fatalf("no %s", series)
	}
	return n
}

// A readiness that is local stays, whatever becomes of the upstream; the verbose answer and the status tell.
func TestLocalReadiness(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, "127.0.0.1:1", noWait)
	_, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
	if state := sqlState(t, err); state != "57P03" {
		t.Errorf("a client is told %q", state)
	}
	if _, err := origin.Log.AwaitLine(ctx, `"session ended"`); err != nil { // by now it is counted, which a client does not wait for
		t.Fatal(err)
	}
	wantStatus(ctx, t, origin, "without the upstream", map[string]int{"/startupz": 200, "/livez": 200, "/readyz": 200})
	if _, body, err := origin.Get(ctx, "/readyz?verbose"); err != nil || !strings.Contains(body, "[!]upstream: ") || !strings.Contains(body, "upstream_refused since ") {
		t.Errorf("/readyz?verbose says %q, %v", body, err)
	}
	failures := snapshot(ctx, t, origin).Failures
	if len(failures) != 1 || failures[0].Reason != "upstream_refused" || failures[0].Cure == "" {
		t.Errorf("failures are %+v", failures)
	}
}
