package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

const drainText = "pgorigin: terminating the session because pgorigin shuts down"

// replicatingPostgres is a PostgreSQL that others may replicate.
func replicatingPostgres(ctx context.Context, t *testing.T) *servers.Postgres {
	t.Helper()
	pg, err := shared.lab.Postgres(ctx, servers.PostgresOptions{Settings: []string{"wal_level = logical"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pg.Stop)
	execOn(ctx, t, pg, "ALTER ROLE app REPLICATION")
	return pg
}

func execOn(ctx context.Context, t *testing.T, pg *servers.Postgres, sql string) {
	t.Helper()
	if _, err := pg.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

// awaitOn waits until a query has a result.
func awaitOn(ctx context.Context, t *testing.T, pg *servers.Postgres, sql, want string) {
	t.Helper()
	err := servers.Poll(ctx, func() error {
		out, err := pg.Exec(ctx, sql)
		if err == nil && out != want {
			err = fmt.Errorf("%s is %q, want %q", sql, out, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// postgresTool is a program of PostgreSQL beside psql, not yet started, that connects through origin.
func postgresTool(
	ctx context.Context, origin *servers.Origin, name string, args ...string,
) (cmd *exec.Cmd, out *bytes.Buffer) {
	psql := shared.lab.Psql(ctx, "")
	args = append([]string{"-d", servers.DSN(origin.Addr)}, args...)
	cmd = exec.CommandContext(ctx, filepath.Join(filepath.Dir(psql.Path), name), args...)
	out = new(bytes.Buffer)
	cmd.Env, cmd.Stdout, cmd.Stderr = psql.Env, out, out
	return cmd, out
}

// A replication stream does not hold up a drain: it goes on from its position when its client connects again.
func TestDrainOfReplicationStreams(t *testing.T) {
	ctx := testContext(t)
	pg := replicatingPostgres(ctx, t)
	execOn(ctx, t, pg, "SELECT pg_create_logical_replication_slot('drain', 'test_decoding')")
	for name, args := range map[string][]string{
		"pg_recvlogical": {"--slot=drain", "--start", "--no-loop", "--file=-"},
		"pg_receivewal":  {"--no-loop", "--directory=" + t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			origin := startOrigin(t, pg.Addr)
			tool, out := postgresTool(ctx, origin, name, args...)
			if err := tool.Start(); err != nil {
				t.Fatal(err)
			}
			awaitOn(ctx, t, pg, "SELECT state FROM pg_stat_replication", "streaming")
			if err := origin.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			awaitExit(ctx, t, origin.Process, 0)
			_ = tool.Wait() // the outputs say how it ended
			if !strings.Contains(out.String(), drainText) {
				t.Errorf("%s was not told why: %s", name, out)
			}
			awaitOn(ctx, t, pg, "SELECT count(*) FROM pg_stat_replication", "0")
		})
	}
}

// A subscriber misses nothing that happens while its pgorigin is replaced by the next one.
func TestDrainOfASubscriber(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	publisher, subscriber := replicatingPostgres(ctx, t), replicatingPostgres(ctx, t)
	origin := startOrigin(t, publisher.Addr)
	execOn(ctx, t, publisher, "CREATE TABLE shared (n int); INSERT INTO shared VALUES (1);"+
		"GRANT SELECT ON shared TO app; CREATE PUBLICATION p FOR TABLE shared")
	execOn(ctx, t, subscriber, "CREATE TABLE shared (n int)")
	execOn(ctx, t, subscriber, "CREATE SUBSCRIPTION s CONNECTION '"+servers.DSN(origin.Addr)+"' PUBLICATION p")
	const sum = "SELECT sum(n) FROM shared"
	awaitOn(ctx, t, subscriber, sum, "1")
	awaitOn(ctx, t, publisher, "SELECT string_agg(state, ',') FROM pg_stat_replication", "streaming")
	if err := origin.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitExit(ctx, t, origin.Process, 0)
	execOn(ctx, t, publisher, "INSERT INTO shared VALUES (10)")
	startOrigin(t, publisher.Addr, "PGORIGIN_LISTEN_ADDR="+origin.Addr)
	execOn(ctx, t, publisher, "INSERT INTO shared VALUES (100)")
	awaitOn(ctx, t, subscriber, sum, "111")
	if !strings.Contains(subscriber.Log.String(), drainText) {
		t.Errorf("the subscriber was not told why its stream ended")
	}
	execOn(ctx, t, subscriber, "ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE);"+
		"DROP SUBSCRIPTION s")
}

// A base backup cannot go on where it was, so a drain waits for its end.
func TestDrainWaitsForBaseBackup(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	pg := replicatingPostgres(ctx, t)
	origin := startOrigin(t, pg.Addr)
	folder := filepath.Join(t.TempDir(), "backup")
	tool, out := postgresTool(ctx, origin, "pg_basebackup", "--pgdata="+folder, "--wal-method=fetch",
		"--checkpoint=fast", "--max-rate=12M")
	if err := tool.Start(); err != nil {
		t.Fatal(err)
	}
	awaitOn(ctx, t, pg, "SELECT phase FROM pg_stat_progress_basebackup", "streaming database files")
	if err := origin.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := tool.Wait(); err != nil {
		t.Errorf("pg_basebackup: %v\n%s", err, out)
	}
	awaitExit(ctx, t, origin.Process, 0)
}
