package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// SIGTERM lets a running transaction finish, keeps newcomers out in words that they understand, and ends with 0.
func TestDrainWaitsForTheTransaction(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		conn := connect(ctx, t, origin.Addr)
		mustExec(ctx, t, conn, "CREATE TABLE drained (n int)", "BEGIN", "INSERT INTO drained VALUES (1)", "SAVEPOINT here")
		marker := "sleeps " + t.Name()
		slept := make(chan error, 1)
		go func() {
			_, err := conn.Exec(ctx, "SELECT pg_sleep(600) /* "+marker+" */")
			slept <- err
		}()
		awaitActivity(ctx, t, marker, 1)
		drain(ctx, t, origin)
		if status, _, err := origin.Get(ctx, "/readyz"); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("/readyz answers %d, %v", status, err)
		}
		if status, _, err := origin.Get(ctx, "/livez"); err != nil || status != http.StatusOK {
			t.Errorf("/livez answers %d, %v", status, err)
		}
		cancel(ctx, t, conn) // cancels still pass
		if state := sqlState(t, <-slept); state != "57014" {
			t.Errorf("the cancelled query ended with %q", state)
		}
		mustExec(ctx, t, conn, "ROLLBACK TO here", "INSERT INTO drained VALUES (2)", "COMMIT")
		awaitExit(ctx, t, origin.Process, 0)
		_, err := conn.Exec(ctx, "SELECT 1")
		if state := sqlState(t, err); state != "57P01" {
			t.Errorf("behind its transaction the client was told SQLSTATE %q, %v", state, err)
		}
		if out, err := shared.postgres.Exec(ctx, "SELECT sum(n) FROM drained; DROP TABLE drained"); err != nil || out != "3" {
			t.Errorf("the table has %q, %v", out, err)
		}
	})
}

// drain sends SIGTERM and waits until a new client is told so.
func drain(ctx context.Context, t *testing.T, origin *servers.Origin) {
	t.Helper()
	if err := origin.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := servers.Poll(ctx, func() error {
		conn, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
		if err == nil {
			_ = conn.Close(ctx) // it was faster than the signal
			return errors.New("a new client is served")
		}
		if state := sqlState(t, err); state != "57P03" {
			return fmt.Errorf("a new client is told SQLSTATE %q", state)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			origin := startOrigin(t, shared.bouncer.Addr)
			conn := connect(ctx, t, origin.Addr)
			mustExec(ctx, t, conn, "BEGIN")
			drain(ctx, t, origin)
			if err := origin.Signal(sig); err != nil {
				t.Fatal(err)
			}
			awaitExit(ctx, t, origin.Process, 1)
			_, err := conn.Exec(ctx, "SELECT 1")
			if state := sqlState(t, err); state != "57P01" {
				t.Errorf("the idle client was told SQLSTATE %q, %v", state, err)
			}
		})
	}
}

func TestDrainTimeout(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_SHUTDOWN_TIMEOUT=300ms")
	conn := connect(ctx, t, origin.Addr)
	mustExec(ctx, t, conn, "BEGIN")
	if err := origin.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitExit(ctx, t, origin.Process, 1)
	_, err := conn.Exec(ctx, "SELECT 1")
	if state := sqlState(t, err); state != "57P01" {
		t.Errorf("the idle client was told SQLSTATE %q, %v", state, err)
	}
}

func TestSignalWithoutSessions(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		origin := startOrigin(t, shared.postgres.Addr)
		if err := origin.Signal(sig); err != nil {
			t.Fatal(err)
		}
		awaitExit(testContext(t), t, origin.Process, 0)
	}
}

// A client that vanishes without a word, as a killed process does, leaves nothing behind at the upstream.
func TestClientVanishes(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		conn := connect(ctx, t, origin.Addr)
		mustExec(ctx, t, conn, "BEGIN", "SELECT 1 /* vanishes */")
		if err := conn.PgConn().Conn().Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := origin.AwaitSession(ctx, `"reason":"client_gone"`, `"phase":"relay"`); err != nil {
			t.Error(err)
		}
		err := servers.Poll(ctx, func() error {
			out, err := shared.postgres.Exec(ctx, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND query LIKE '%vanishes%'")
			if err == nil && out != "0" {
				err = errors.New("the transaction is still open")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// The end of a client reaches PostgreSQL as the end of TCP, which is what client_connection_check_interval looks for. The
// query would outlast the test.
func TestClientVanishesInAQuery(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr)
	conn := connect(ctx, t, origin.Addr)
	mustExec(ctx, t, conn, "SET client_connection_check_interval = '100ms'")
	count := func() (string, error) {
		return shared.postgres.Exec(ctx, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'")
	}
	await := func(want string) {
		t.Helper()
		err := servers.Poll(ctx, func() error {
			got, err := count()
			if err == nil && got != want {
				err = fmt.Errorf("%s queries run, want %s", got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	go func() { _, _ = conn.PgConn().Exec(ctx, "SELECT pg_sleep(600)").ReadAll() }()
	await("1")
	if err := conn.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	await("0")
}

// Cancel requests do not count as sessions, else a full pgorigin could not be relieved.
func TestSessionLimit(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_MAX_SESSIONS=1")
	conn := connect(ctx, t, origin.Addr)
	slept := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(600) /* the only one */")
		slept <- err
	}()
	awaitActivity(ctx, t, "the only one", 1)
	answer := refusal(ctx, t, origin.Addr)
	if answer.Code != "53300" || !strings.Contains(answer.Hint, "PGORIGIN_MAX_SESSIONS") {
		t.Errorf("the second client is told %s %s, hint %q", answer.Code, answer.Message, answer.Hint)
	}
	cancel(ctx, t, conn)
	if state := sqlState(t, <-slept); state != "57014" {
		t.Errorf("the cancelled query ended with %q", state)
	}
}

// An open session learns that PostgreSQL restarts from PostgreSQL itself; the next login waits for the new one.
func TestPostgresRestart(t *testing.T) {
	ctx := testContext(t)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { postgres.Stop() }()
	origin := startOrigin(t, postgres.Addr, "PGORIGIN_UPSTREAM_WAIT=1m") // a restart on a busy machine
	conn := connect(ctx, t, origin.Addr)
	mustExec(ctx, t, conn, "SELECT 1")
	postgres.Stop()
	_, err = conn.Exec(ctx, "SELECT 1")
	if state := sqlState(t, err); state != "57P01" || !strings.Contains(err.Error(), "terminating connection due to administrator command") {
		t.Errorf("the open session ended with %v", err)
	}
	waits := make(chan error, 1)
	go func() { waits <- login(ctx, origin.Addr) }()
	if _, err := origin.Log.AwaitLine(ctx, `"upstream is away, clients wait"`); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Errorf("a client that came while PostgreSQL was away: %v", err)
	}
	if _, err := origin.Log.AwaitLine(ctx, `"upstream is back"`, `"clients_waited":1`); err != nil {
		t.Error(err)
	}
}

// A pgbouncer that dies says nothing, so pgorigin does.
func TestPgBouncerDies(t *testing.T) {
	ctx := testContext(t)
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { bouncer.Stop() }()
	origin := startOrigin(t, bouncer.Addr)
	conn := connect(ctx, t, origin.Addr)
	mustExec(ctx, t, conn, "SELECT 1")
	if err := bouncer.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	session, err := origin.AwaitSession(ctx, `"reason":"upstream_gone"`)
	if err != nil {
		t.Fatal(err)
	}
	if session["sqlstate"] != "08006" || session["phase"] != "relay" {
		t.Errorf("the session ended with SQLSTATE %v in phase %v", session["sqlstate"], session["phase"])
	}
	_, err = conn.Exec(ctx, "SELECT 1")
	if state := sqlState(t, err); state != "08006" {
		t.Errorf("the open session ended with %v", err)
	}
	if err := bouncer.Start(ctx); err != nil {
		t.Fatal(err)
	}
	mustExec(ctx, t, connect(ctx, t, origin.Addr), "SELECT 1")
}
