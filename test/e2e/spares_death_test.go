package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// A server that waits only so long ends its spares, until they have learned how long that is.
func TestSparesOfImpatientServers(t *testing.T) {
	ctx := testContext(t)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{Settings: []string{"authentication_timeout = 5"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { postgres.Stop() })
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Settings: []string{"client_login_timeout = 6"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bouncer.Stop() })
	for name, upstream := range map[string]string{"authentication_timeout": postgres.Addr, "client_login_timeout": bouncer.Addr} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			origin := startOrigin(t, upstream, "PGORIGIN_WARM_SPARES=2", "PGORIGIN_LOG_LEVEL=debug")
			awaitSeries(ctx, t, origin, sparesDiscarded("dead"), 1)
			if name == "client_login_timeout" { // PostgreSQL says nothing
				if _, err := origin.Log.AwaitLine(ctx, "spare discarded", name); err != nil {
					t.Errorf("the log does not say what the spares died of: %v", err)
				}
			}
			hits := 0.0
			for hits < 10 {
				if err := login(ctx, origin.Addr); err != nil {
					t.Fatal(err)
				}
				seen, err := series(ctx, origin, spareHits)
				if err != nil {
					t.Fatal(err)
				}
				hits = seen
			}
			expectSeries(ctx, t, origin, spareDuds, 0)
		})
	}
}

// The moment between the last look at a spare and its use cannot be closed. Here the gate makes it as long as it takes.
func TestDeadSpareCostsTheClientNothing(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{Settings: []string{"authentication_timeout = 4"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { postgres.Stop() })
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Settings: []string{"client_login_timeout = 4"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bouncer.Stop() })
	for _, row := range []struct{ name, upstream, binding string }{
		{"postgres", postgres.Addr, "strip"},
		{"pgbouncer", bouncer.Addr, "strip"},
		{"bridge", postgres.Addr, "bridge"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			g := startGate(t, row.upstream)
			origin := startOrigin(t, g.addr, "PGORIGIN_WARM_SPARES=1", "PGORIGIN_AUTH_CHANNEL_BINDING="+row.binding)
			awaitSeries(ctx, t, origin, sparesReady, 1)
			g.hold()
			select {
			case <-g.ended:
			case <-ctx.Done():
				t.Fatal(context.Cause(ctx))
			}
			conn := connect(ctx, t, origin.Addr)
			mustExec(ctx, t, conn, "SELECT 1")
			expectSeries(ctx, t, origin, spareHits, 1)
			expectSeries(ctx, t, origin, spareDuds, 1)
			cancel(ctx, t, conn) // goes where the session is by now
		})
	}
}

// A restart of the upstream ends all spares; whoever comes afterwards gets in at once.
func TestSparesAcrossRestarts(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bouncer.Stop() })
	origin := startOrigin(t, bouncer.Addr, "PGORIGIN_WARM_SPARES=2")
	script := writeFile(t, "script.sql", []byte("SELECT 1;\n"))
	for range 2 {
		awaitSeries(ctx, t, origin, sparesReady, 2)
		bouncer.Stop()
		if err := bouncer.Start(ctx); err != nil {
			t.Fatal(err)
		}
		out, err := shared.lab.Pgbench(ctx, servers.DSN(origin.Addr), "-n", "-C", "-c", "4", "-t", "10", "-f", script).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "processed: 40/40") {
			t.Fatalf("pgbench right after a restart: %v\n%s", err, out)
		}
	}
	awaitSeries(ctx, t, origin, sparesReady, 2) // pgbench may have been done before there were any
	if err := login(ctx, origin.Addr); err != nil {
		t.Fatal(err)
	}
	if hits, err := series(ctx, origin, spareHits); err != nil || hits == 0 {
		t.Errorf("%v hits (%v)", hits, err)
	}
}

// While the upstream restarts, clients lose what a direct client loses: nothing that began when it was there.
func TestSparesLoseNothing(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bouncer.Stop() })
	origin := startOrigin(t, bouncer.Addr, "PGORIGIN_WARM_SPARES=2")
	type attempt struct {
		began, ended time.Time
		err          error
	}
	attempts := make(chan []attempt, 1)
	enough := make(chan struct{})
	go func() {
		var all []attempt
		for {
			select {
			case <-enough:
				attempts <- all
				return
			default:
			}
			began := time.Now()
			err := login(ctx, origin.Addr)
			all = append(all, attempt{began, time.Now(), err})
		}
	}()
	var stopped, started []time.Time
	for range 2 {
		awaitSeries(ctx, t, origin, sparesReady, 2)
		stopped = append(stopped, time.Now())
		bouncer.Stop()
		if err := bouncer.Start(ctx); err != nil {
			t.Fatal(err)
		}
		started = append(started, time.Now())
	}
	awaitSeries(ctx, t, origin, sparesReady, 2)
	close(enough)
	failed := 0
	all := <-attempts
	for _, a := range all {
		if a.err == nil {
			continue
		}
		failed++
		excused := false
		for i := range stopped {
			excused = excused || a.began.Before(started[i]) && a.ended.After(stopped[i])
		}
		if !excused {
			t.Errorf("an attempt failed while pgbouncer was there: %v", a.err)
		}
	}
	t.Logf("%d of %d attempts failed during restarts", failed, len(all))
}

// A TLS 1.3 server lets a client in before it judges its certificate. So spares come about and die; the client is told why.
func TestSparesWithoutACertificate(t *testing.T) {
	ctx := testContext(t)
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Mutual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bouncer.Stop() })
	origin := startOrigin(t, bouncer.Addr, "PGORIGIN_WARM_SPARES=1", "PGORIGIN_LOG_LEVEL=debug")
	for range 5 {
		if answer := refusal(ctx, t, origin.Addr); answer.Code != "08001" || !strings.Contains(answer.Message, "certificate") {
			t.Errorf("the client is told %s %s", answer.Code, answer.Message)
		}
	}
	awaitSeries(ctx, t, origin, sparesDiscarded("dead"), 1)
	if _, err := origin.Log.AwaitLine(ctx, "no new spares for a while"); err != nil {
		t.Errorf("spares are made as fast as they die: %v", err)
	}
}
