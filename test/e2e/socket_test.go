package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
