package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// transfer is a transaction of four statements with some time in between, so that a signal meets clients at every point
// of it. BEGIN is command 0.
const transfer = `BEGIN;
INSERT INTO drain_test (part) VALUES (1);
\sleep 2 ms
SELECT count(*) FROM pg_class;
\sleep 2 ms
INSERT INTO drain_test (part) VALUES (2);
COMMIT;
`

var (
	processed = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	aborted   = regexp.MustCompile(`aborted in command (\d+)`)
)

// SIGTERM under load: every transaction that a client was told to be committed is, none is cut in its middle, and pgorigin
// ends by itself long before its timeout, because it sends clients away between two transactions.
func TestDrainUnderLoad(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		mustExec(ctx, t, connect(ctx, t, shared.bouncer.Addr, "sslmode=require"), "DROP TABLE IF EXISTS drain_test", "CREATE TABLE drain_test (part int)")
		script := filepath.Join(t.TempDir(), "transfer.sql")
		if err := os.WriteFile(script, []byte(transfer), 0o644); err != nil {
			t.Fatal(err)
		}
		const clients = 20
		bench := shared.lab.Pgbench(ctx, servers.DSN(origin.Addr), "-n", "-c", strconv.Itoa(clients), "-j", "2", "-T", "60", "-f", script)
		var out bytes.Buffer
		bench.Stdout, bench.Stderr = &out, &out
		if err := bench.Start(); err != nil {
			t.Fatal(err)
		}
		if err := awaitRows(ctx, 40*clients); err != nil {
			_ = bench.Process.Kill()
			_ = bench.Wait()
			t.Fatalf("%v; pgbench says:\n%s", err, out.String())
		}
		signalled := time.Now()
		if err := origin.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		awaitExit(ctx, t, origin.Process, 0)
		took := time.Since(signalled)
		_ = bench.Wait() // it fails, for all its clients were sent away
		report := out.String()

		rows := mustExecDirectly(ctx, t, "SELECT count(*) FILTER (WHERE part = 1) || ' ' || count(*) FILTER (WHERE part = 2) FROM drain_test; DROP TABLE drain_test")
		counted := processed.FindStringSubmatch(report)
		if counted == nil || rows != counted[1]+" "+counted[1] {
			t.Errorf("pgbench counted %v transactions, the table has %s:\n%s", counted, rows, report)
		}
		points := aborted.FindAllStringSubmatch(report, -1)
		if len(points) != clients {
			t.Errorf("%d of %d clients were sent away:\n%s", len(points), clients, report)
		}
		for _, point := range points {
			if point[1] != "0" {
				t.Errorf("a client lost its transaction at command %s:\n%s", point[1], report)
			}
		}
		if !strings.Contains(report, "pgorigin: terminating the session because pgorigin shuts down") {
			t.Errorf("no client was told why:\n%s", report)
		}
		t.Logf("%s transactions, %d clients sent away between two of them, exit %v after SIGTERM", counted[1], len(points), took)
	})
}

func mustExecDirectly(ctx context.Context, t *testing.T, sql string) string {
	t.Helper()
	out, err := shared.postgres.Exec(ctx, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// awaitRows waits until the load has come so far, but not for ever: pgbench may have ended.
func awaitRows(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return servers.Poll(ctx, func() error {
		out, err := shared.postgres.Exec(ctx, "SELECT count(*) FROM drain_test")
		if err != nil {
			return err
		}
		if have, err := strconv.Atoi(out); err != nil || have < want {
			return fmt.Errorf("there are %s rows of %d", out, want)
		}
		return nil
	})
}

// A transaction that never ends is cut when the time is over; its client is told, if it waits for nothing at that moment.
func TestDrainOfAClientThatNeverEnds(t *testing.T) {
	t.Parallel()
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		idle, busy := connect(ctx, t, origin.Addr), connect(ctx, t, origin.Addr)
		mustExec(ctx, t, idle, "BEGIN", "SELECT 1")
		marker := "never ends " + t.Name()
		slept := make(chan error, 1)
		go func() {
			_, err := busy.Exec(ctx, "SELECT pg_sleep(600) /* "+marker+" */")
			slept <- err
		}()
		awaitActivity(ctx, t, marker, 1)
		signalled := time.Now()
		if err := origin.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		awaitExit(ctx, t, origin.Process, 1)
		if took := time.Since(signalled); took < time.Second {
			t.Errorf("it ended after %v, before its timeout", took)
		}
		if err := <-slept; err == nil {
			t.Error("the query that never ends has ended")
		}
		_, err := idle.Exec(ctx, "SELECT 1")
		if state := sqlState(t, err); state != "57P01" {
			t.Errorf("the client between two statements was told SQLSTATE %q, %v", state, err)
		}
		mustExecDirectly(ctx, t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%"+marker+"%' AND pid <> pg_backend_pid()")
	}, "PGORIGIN_SHUTDOWN_TIMEOUT=1s")
}

// While the delay lasts, new clients are served although readiness is withdrawn; then the drain begins.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_SHUTDOWN_DELAY=2s")
	signalled := time.Now()
	if err := origin.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := origin.Log.AwaitLine(ctx, `"shutting down"`); err != nil {
		t.Fatal(err)
	}
	if status, _, err := origin.Get(ctx, "/readyz"); err != nil || status != 503 {
		t.Errorf("/readyz answers %d, %v", status, err)
	}
	mustExec(ctx, t, connect(ctx, t, origin.Addr), "SELECT 1")
	awaitExit(ctx, t, origin.Process, 0)
	if took := time.Since(signalled); took < 2*time.Second {
		t.Errorf("it ended after %v, before the delay was over", took)
	}
}
