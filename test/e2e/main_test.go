package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// suite is what all tests share: starting it takes longer than most of them.
type suite struct {
	lab      *servers.Lab
	binary   string // pgorigin, built with the race detector
	postgres *servers.Postgres
	bouncer  *servers.PgBouncer
}

var shared suite

// parallelTests is how many tests that call Parallel run at once. Most of them wait.
const parallelTests = "4"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", parallelTests); err != nil { // -parallel on the command line still wins
		panic(err)
	}
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		shared.lab = lab
		if shared.binary, err = lab.Build(ctx, "-race"); err != nil {
			return err
		}
		if shared.postgres, err = lab.Postgres(ctx, servers.PostgresOptions{}); err != nil {
			return err
		}
		shared.bouncer, err = lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{})
		return err
	}))
}

// testContext ends with the test, or earlier when the test hangs.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 90*time.Second, errors.New("the test takes too long"))
	t.Cleanup(cancel)
	return ctx
}

// eachUpstream runs a test against a pgorigin in front of PostgreSQL and one in front of pgbouncer.
func eachUpstream(t *testing.T, run func(ctx context.Context, t *testing.T, origin *servers.Origin), env ...string) {
	t.Helper()
	for name, upstream := range map[string]string{"postgres": shared.postgres.Addr, "pgbouncer": shared.bouncer.Addr} {
		t.Run(name, func(t *testing.T) {
			run(testContext(t), t, startOrigin(t, upstream, env...))
		})
	}
}

// startOrigin starts a pgorigin for this test and checks, when the test is over, what must hold whatever it did.
func startOrigin(t *testing.T, upstream string, env ...string) *servers.Origin {
	t.Helper()
	origin, err := shared.lab.Origin(testContext(t), shared.binary, upstream, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		origin.Stop()
		log := origin.Log.String()
		for _, never := range []string{"DATA RACE", "panic:", servers.Password, "SCRAM-SHA-256$"} {
			if strings.Contains(log, never) {
				t.Errorf("pgorigin's log contains %q", never)
				log = strings.ReplaceAll(log, servers.Password, "(password)")
				t.Log(log)
				return
			}
		}
		if t.Failed() {
			t.Logf("pgorigin's log ends with:\n%s", origin.Log.Tail(30))
		}
	})
	return origin
}

// connect logs in by pgx and closes the connection when the test is over.
func connect(ctx context.Context, t *testing.T, addr string, options ...string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(ctx, servers.DSN(addr, options...))
	if err != nil {
		t.Fatalf("log in: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(ctx)) }) // the test may have ended it in its own way
	return conn
}

// ask runs a query that returns one value.
func ask[T any](ctx context.Context, t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var value T
	if err := conn.QueryRow(ctx, sql, args...).Scan(&value); err != nil {
		t.Fatalf("run %q: %v", sql, err)
	}
	return value
}

// noWait is for tests of what a client is told while the upstream is away. By default it waits first.
const noWait = "PGORIGIN_UPSTREAM_WAIT=off"

// refusal logs in by pgx and returns the ErrorResponse that it must get.
func refusal(ctx context.Context, t *testing.T, addr string, options ...string) *pgconn.PgError {
	t.Helper()
	conn, err := pgx.Connect(ctx, servers.DSN(addr, options...))
	if err == nil {
		_ = conn.Close(ctx)
		t.Fatal("the login was accepted")
	}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		t.Fatalf("the login ended without an ErrorResponse: %v", err)
	}
	return answer
}

// sqlState returns the SQLSTATE of a failed query, or "" with the error logged.
func sqlState(t *testing.T, err error) string {
	t.Helper()
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		t.Logf("no ErrorResponse: %v", err)
		return ""
	}
	return answer.Code
}

// psql runs statements, or just logs in and out, and returns the exit code and both outputs together.
func psql(ctx context.Context, t *testing.T, dsn string, statements ...string) (int, string) {
	t.Helper()
	args := []string{"-At", "-v", "ON_ERROR_STOP=1"}
	for _, statement := range statements {
		args = append(args, "-c", statement)
	}
	out, err := shared.lab.Psql(ctx, dsn, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode(), string(out)
	case err != nil:
		t.Fatalf("run psql: %v", err)
	}
	return 0, string(out)
}

// awaitActivity waits until PostgreSQL runs exactly n queries that contain marker.
func awaitActivity(ctx context.Context, t *testing.T, marker string, n int) {
	t.Helper()
	sql := fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%%s%%' AND pid <> pg_backend_pid()", marker)
	err := servers.Poll(ctx, func() error {
		out, err := shared.postgres.Exec(ctx, sql)
		if err == nil && out != fmt.Sprint(n) {
			err = fmt.Errorf("%s queries with %s are active, want %d", out, marker, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitExit checks how pgorigin ends.
func awaitExit(ctx context.Context, t *testing.T, p *servers.Process, want int) {
	t.Helper()
	code, err := p.ExitCode(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if code != want {
		t.Errorf("pgorigin ended with exit code %d, want %d; its log ends with:\n%s", code, want, p.Log.Tail(20))
	}
}
