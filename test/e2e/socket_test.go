package e2e

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// socketDSN leads libpq to the socket in dir: it adds the file name itself.
func socketDSN(dir string) string { return servers.DSN(dir + ":6432") }

func TestUnixSocket(t *testing.T) {
	ctx := testContext(t)
	dir := t.TempDir()
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_LISTEN_ADDR=unix:"+dir, "PGORIGIN_LISTEN_SOCKET_MODE=0660",
		"PGORIGIN_LISTEN_ALLOW_UIDS="+strconv.Itoa(os.Getuid()), bridgeMode)
	code, out := psql(ctx, t, socketDSN(dir), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
	if code != 0 || out != "t\n" {
		t.Errorf("psql ended with %d and printed %q", code, out)
	}
	info, err := os.Stat(filepath.Join(dir, ".s.PGSQL.6432"))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket has mode %v (%v)", info.Mode(), err)
	}

	// A second pgorigin does not take the socket away.
	second, err := shared.lab.StartOrigin(shared.binary, "PGORIGIN_UPSTREAM_ADDR="+shared.postgres.Addr,
		"PGORIGIN_LISTEN_ADDR=unix:"+dir, "PGORIGIN_HEALTH_ADDR=off", "PGORIGIN_TLS_CA_FILE="+shared.lab.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	awaitExit(ctx, t, second, 1)
	if log := second.Log.String(); !strings.Contains(log, "is in use by another process") {
		t.Errorf("the second one says %q", log)
	}
	if code, out := psql(ctx, t, socketDSN(dir), "SELECT 1"); code != 0 {
		t.Errorf("after that psql ended with %d and printed %q", code, out)
	}

	// What a killed one leaves behind is replaced.
	if err := origin.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-origin.Ended()
	startOrigin(t, shared.postgres.Addr, "PGORIGIN_LISTEN_ADDR=unix:"+dir)
	if code, out := psql(ctx, t, socketDSN(dir), "SELECT 1"); code != 0 {
		t.Errorf("after a restart psql ended with %d and printed %q", code, out)
	}
}

func TestUnixSocketOfOthers(t *testing.T) {
	ctx := testContext(t)
	dir := t.TempDir()
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_LISTEN_ADDR=unix:"+dir,
		"PGORIGIN_LISTEN_ALLOW_UIDS="+strconv.Itoa(os.Getuid()+4711))
	code, out := psql(ctx, t, socketDSN(dir), "SELECT 1")
	if code != 2 || !strings.Contains(out, "may not connect here") || !strings.Contains(out, "PGORIGIN_LISTEN_ALLOW_UIDS") {
		t.Errorf("psql ended with %d and printed %q", code, out)
	}
	if _, err := origin.AwaitSession(ctx, `"reason":"client_denied"`, `"sqlstate":"28000"`); err != nil {
		t.Error(err)
	}
}

// PostgreSQL and pgorigin have the same names for sockets and lock files. Neither takes the other's place, even when it is
// dead, and PostgreSQL finds its files as it left them.
func TestUnixSocketBesidePostgreSQL(t *testing.T) {
	ctx := testContext(t)
	pg, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Stop()
	dir, err := pg.Exec(ctx, "SHOW unix_socket_directories")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(pg.Addr)
	socket := filepath.Join(dir, ".s.PGSQL."+port)
	lock, err := os.ReadFile(socket + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{
		"PGORIGIN_UPSTREAM_ADDR=" + shared.postgres.Addr, "PGORIGIN_LISTEN_ADDR=unix:" + socket,
		"PGORIGIN_HEALTH_ADDR=off", "PGORIGIN_TLS_CA_FILE=" + shared.lab.CAFile, "PGORIGIN_LOG_FORMAT=json",
	}
	refused := func(story string) {
		t.Helper()
		origin, err := shared.lab.StartOrigin(shared.binary, env...)
		if err != nil {
			t.Fatal(err)
		}
		awaitExit(ctx, t, origin, 1)
		if log := origin.Log.String(); !strings.Contains(log, "left alone") {
			t.Errorf("%s: it says\n%s", story, log)
		}
		if now, err := os.ReadFile(socket + ".lock"); err != nil || string(now) != string(lock) {
			t.Errorf("%s: the lock file holds %q, %v", story, now, err)
		}
	}
	refused("PostgreSQL runs")
	if out, err := pg.Exec(ctx, "SELECT 1"); err != nil || out != "1" {
		t.Errorf("its socket answers %q, %v", out, err)
	}

	if err := pg.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-pg.Ended()
	refused("PostgreSQL crashed")
	if _, err := os.Lstat(socket); err != nil {
		t.Error(err)
	}

	if err := errors.Join(os.Remove(socket), os.Remove(socket+".lock")); err != nil {
		t.Fatal(err)
	}
	origin, err := shared.lab.StartOrigin(shared.binary, env...)
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Stop()
	if _, err := origin.Log.AwaitLine(ctx, `"message":"ready"`); err != nil {
		t.Fatal(err)
	}
	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := pg.Start(starting); err == nil {
		t.Error("PostgreSQL started in pgorigin's place")
	}
	if conn, err := net.Dial("unix", socket); err != nil {
		t.Errorf("after that pgorigin cannot be reached: %v", err)
	} else {
		conn.Close()
	}
}
