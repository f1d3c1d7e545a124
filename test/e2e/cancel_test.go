package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// Ctrl-C in psql: the cancel request comes on a connection of its own.
func TestCancelByPsql(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		marker := "ctrl-c " + t.Name()
		cmd := shared.lab.Psql(ctx, servers.DSN(origin.Addr), "-c", "SELECT pg_sleep(600) /* "+marker+" */")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitActivity(ctx, t, marker, 1)
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if err == nil || !strings.Contains(out.String(), "canceling statement due to user request") {
			t.Errorf("psql ended with %v and printed\n%s", err, out.String())
		}
		awaitActivity(ctx, t, marker, 0)
		request, err := origin.AwaitSession(ctx, `"cancel":true`)
		if err != nil {
			t.Fatal(err)
		}
		if request["reason"] != "ok" || request["cancel_known"] != true || request["tls_version"] != "1.3" {
			t.Errorf("the log says of the cancel request: %v", request)
		}
	})
}

// A cancel request ends the query of its own session and no other, and the session lives on.
func TestCancelHitsItsOwnQuery(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		const sessions, victim = 5, 3
		marker := "cancel " + t.Name()
		var conns [sessions]*pgx.Conn
		var ended [sessions]chan error
		for i := range conns {
			conns[i], ended[i] = connect(ctx, t, origin.Addr), make(chan error, 1)
			go func() {
				_, err := conns[i].Exec(ctx, fmt.Sprintf("SELECT pg_sleep(600 + %d) /* %s */", i, marker))
				ended[i] <- err
			}()
		}
		awaitActivity(ctx, t, marker, sessions)
		cancel(ctx, t, conns[victim])
		if state := sqlState(t, <-ended[victim]); state != "57014" {
			t.Errorf("the cancelled query ended with %q", state)
		}
		awaitActivity(ctx, t, marker, sessions-1)
		if one := ask[int](ctx, t, conns[victim], "SELECT 1"); one != 1 {
			t.Errorf("after the cancel, 1 is %d", one)
		}
		for i, conn := range conns {
			if i == victim {
				continue
			}
			select {
			case err := <-ended[i]:
				t.Errorf("session %d was hit too: %v", i, err)
				continue
			default:
			}
			cancel(ctx, t, conn)
			if state := sqlState(t, <-ended[i]); state != "57014" {
				t.Errorf("query %d ended with %q", i, state)
			}
		}
	})
}

func cancel(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	t.Helper()
	if err := conn.PgConn().CancelRequest(ctx); err != nil {
		t.Errorf("send the cancel request: %v", err)
	}
}

// A backend of PostgreSQL up to 17 knows only the processes that were there when it was forked, so a cancel request over
// a connection that is older than its session is lost without a word. With spares each request has to be effective all
// the same, and the metrics say that it was.
func TestCancelWithSpares(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_WARM_SPARES=4")
	awaitSeries(ctx, t, origin, sparesReady, 4)
	const cancels = 100
	lost := 0
	for n := range cancels {
		conn := connect(ctx, t, origin.Addr)
		marker := fmt.Sprintf("cancel %s %d", t.Name(), n)
		ended := make(chan error, 1)
		go func() {
			_, err := conn.Exec(ctx, "SELECT pg_sleep(1) /* "+marker+" */")
			ended <- err
		}()
		awaitActivity(ctx, t, marker, 1)
		cancel(ctx, t, conn)
		if err := <-ended; err == nil {
			lost++
		} else if state := sqlState(t, err); state != "57014" {
			t.Errorf("query %d ended with %q", n, state)
		}
		_ = conn.Close(ctx)
	}
	if lost > 0 {
		t.Errorf("%d of %d cancel requests were lost", lost, cancels)
	}
	awaitSeries(ctx, t, origin, `pgorigin_cancel_effects_total{effect="canceled",origin="default"}`, cancels)
}
