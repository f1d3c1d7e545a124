//go:build stall

package stall

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/pgorigin/pgorigin/test/servers"
)

// makeTable makes a table for rows. If seconds is not zero, the row 1 waits in a trigger for so long.
func makeTable(ctx context.Context, pg *servers.Postgres, table string, seconds float64) error {
	sql := fmt.Sprintf("CREATE TABLE %[1]s (id int PRIMARY KEY, note text); ALTER TABLE %[1]s OWNER TO app;", table)
	if seconds > 0 {
		sql += fmt.Sprintf(`
			CREATE FUNCTION wait_%[1]s() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN IF NEW.id = 1 THEN PERFORM pg_sleep(%[2]f); END IF; RETURN NEW; END';
			CREATE TRIGGER wait BEFORE INSERT ON %[1]s FOR EACH ROW EXECUTE FUNCTION wait_%[1]s();`, table, seconds)
	}
	_, err := pg.Exec(ctx, sql)
	return err
}

// copyRows is the COPY of all rows, by psql.
func copyRows(ctx context.Context, dsn, table string) (string, error) {
	return psql(ctx, dsn, `\copy `+table+` from '`+shared.rowsFile+`'`)
}

// awaitBackend returns the process id of the one backend that runs a statement which contains words.
func awaitBackend(ctx context.Context, pg *servers.Postgres, words string) (pid int, err error) {
	sql := "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()" +
		" AND query LIKE '%" + words + "%'"
	err = servers.Poll(ctx, func() error {
		out, err := pg.Exec(ctx, sql)
		if err != nil {
			return err
		}
		pid, err = strconv.Atoi(out)
		return err
	})
	return pid, err
}

// copyBehindRow: another transaction has inserted the first row and does not end. The server stops reading.
func copyBehindRow(ctx context.Context, way string) (string, error) {
	pg, name := shared.postgres, "locked_"+way
	dsn, _, err := reach(ctx, way, pg.Addr)
	if err != nil {
		return "", err
	}
	if err := makeTable(ctx, pg, name, 0); err != nil {
		return "", err
	}
	holder := shared.lab.Psql(ctx, superuser(pg), "-q", "-c", "BEGIN", "-c", "INSERT INTO "+name+" VALUES (1)",
		"-c", fmt.Sprintf("SELECT pg_sleep(%f) /* holds %s */", long.Seconds(), name), "-c", "ROLLBACK")
	if err := holder.Start(); err != nil {
		return "", err
	}
	defer func() { _, _ = holder.Process.Kill(), holder.Wait() }() // both may be late
	if _, err := awaitBackend(ctx, pg, "holds "+name); err != nil {
		return "", err
	}
	return copyRows(ctx, dsn, name)
}

// copyBehindTrigger: the server works on the first row, and does not read.
func copyBehindTrigger(ctx context.Context, way string) (string, error) {
	dsn, _, err := reach(ctx, way, shared.postgres.Addr)
	if err != nil {
		return "", err
	}
	if err := makeTable(ctx, shared.postgres, "trigger_"+way, long.Seconds()); err != nil {
		return "", err
	}
	return copyRows(ctx, dsn, "trigger_"+way)
}

// copyIntoFrozenBackend stops the process that serves the session.
func copyIntoFrozenBackend(ctx context.Context, way string) (string, error) {
	pg, name := shared.postgres, "frozen_"+way
	dsn, _, err := reach(ctx, way, pg.Addr)
	if err != nil {
		return "", err
	}
	if err := makeTable(ctx, pg, name, 3); err != nil { // time enough to find the process
		return "", err
	}
	type result struct {
		saw string
		err error
	}
	done := make(chan result, 1)
	go func() {
		saw, err := copyRows(ctx, dsn, name)
		done <- result{saw, err}
	}()
	pid, err := awaitBackend(ctx, pg, name)
	if err != nil {
		return "", err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return "", err
	}
	pause(ctx, *long)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		return "", err
	}
	r := <-done
	return r.saw, r.err
}

// waitForPausedBouncer asks while pgbouncer gives no server to anybody.
func waitForPausedBouncer(ctx context.Context, way string) (string, error) {
	return duringPause(ctx, way, "SELECT 'answered';\n")
}

// sendToPausedBouncer sends a statement of 20 MB meanwhile, of which pgbouncer reads nothing.
func sendToPausedBouncer(ctx context.Context, way string) (string, error) {
	return duringPause(ctx, way, "SELECT 'answered' WHERE length('"+strings.Repeat("x", 20<<20)+"') > 0;\n")
}

// duringPause logs in by psql, pauses a pgbouncer of its own, runs sql, and resumes it.
func duringPause(ctx context.Context, way, sql string) (string, error) {
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{
		PoolMode: "transaction", Settings: []string{"admin_users = " + servers.User},
	})
	if err != nil {
		return "", err
	}
	defer bouncer.Stop()
	dsn, _, err := reach(ctx, way, bouncer.Addr)
	if err != nil {
		return "", err
	}
	session, err := startPsql(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer session.end()
	if err := session.ask(ctx, "SELECT 'ready';\n", "ready"); err != nil {
		return "", err
	}
	admin, _, err := reach(ctx, direct, bouncer.Addr)
	if err != nil {
		return "", err
	}
	admin += " dbname=pgbouncer"
	if said, err := psql(ctx, admin, "PAUSE"); err != nil {
		return "", err
	} else if said != "PAUSE" {
		return "", fmt.Errorf("pause pgbouncer: it says %q", said)
	}
	resumed := make(chan error, 1)
	go func() {
		pause(ctx, *long)
		_, err := psql(ctx, admin, "RESUME")
		resumed <- err
	}()
	if err := session.ask(ctx, sql, "answered"); err != nil {
		return err.Error(), nil // what the client saw is the outcome
	}
	return "answered", <-resumed
}

// session is a psql that takes statements as they come.
type session struct {
	stdin *os.File
	log   *servers.Process
}

// startPsql logs in. Whoever calls it ends it.
func startPsql(ctx context.Context, dsn string) (*session, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := shared.lab.Psql(ctx, dsn, "-Atq", "-v", "ON_ERROR_STOP=1", "-f", "-")
	cmd.Stdin = read
	p, err := shared.lab.Start("psql", cmd)
	_ = read.Close() // psql has its own
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &session{stdin: write, log: p}, nil
}

// ask sends sql and returns when psql has printed answer.
func (s *session) ask(ctx context.Context, sql, answer string) error {
	sent := make(chan error, 1)
	go func() { // a statement that is longer than the pipe is written as psql reads it
		_, err := s.stdin.WriteString(sql)
		sent <- err
	}()
	if err := s.log.Await(ctx, answer); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace([]byte(s.log.Log.Tail(3))))
	}
	return <-sent
}

// end closes psql's input, which ends it.
func (s *session) end() {
	_ = s.stdin.Close()
	s.log.Stop()
}
