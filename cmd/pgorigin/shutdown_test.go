package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// TestAdminSocket: only our own user may connect, and "pgorigin shutdown" finds the socket.
func TestAdminSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	r := startRun(t, append(cmdtest.StartUpstream(t), "PGORIGIN_ADMIN_ADDR=unix:"+path)...)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	got := runWith(t, []string{"PGORIGIN_ADMIN_ADDR=unix:" + path}, "shutdown", "--wait", "20s")
	if got != (outcome{}) {
		t.Errorf("%+v, want silence and 0", got)
	}
	r.WantExit(t, cli.ExitOK)
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is still there")
	}
	if line := r.Stderr.Wait(t, "shutting down"); line["cause"] != "asked by /quitquitquit" {
		t.Errorf("line is %v", line)
	}
}

func TestShutdownCommand(t *testing.T) {
	admin := cmdtest.FreeAddr(t)
	env := []string{"PGORIGIN_ADMIN_ADDR=" + admin}
	for _, row := range []struct {
		env  []string
		args []string
		code int
		want string
	}{
		{env, nil, cli.ExitFailed, "connection refused\nIs it running, with PGORIGIN_ADMIN_ADDR=" + admin},
		{nil, nil, cli.ExitFailed, "PGORIGIN_ADMIN_ADDR=off: there is nothing to ask"},
		{[]string{"PGORIGIN_ADMIN_ADDR=0.0.0.0:1"}, nil, cli.ExitConfig, "expected a loopback address"},
		{env, []string{"--wait=-1s"}, cli.ExitUsage, "--wait: expected a duration above zero"},
	} {
		got := runWith(t, row.env, append([]string{"shutdown"}, row.args...)...)
		if got.code != row.code || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%v %v: %+v, want %d and %q", row.env, row.args, got, row.code, row.want)
		}
	}

	r := startRun(t, append(cmdtest.StartUpstream(t), env...)...)
	client := r.Begin(t)
	for range 2 { // a second one does no harm
		if got := runWith(t, env, "shutdown"); got != (outcome{}) {
			t.Errorf("%+v, want silence and 0", got)
		}
	}
	r.Stderr.Wait(t, "draining")
	for _, wait := range []string{"--wait=1ns", "--wait=150ms"} { // 1ns is over before shutdown looks
		if got := runWith(t, env, "shutdown", wait); got.code != cli.ExitFailed || !strings.Contains(got.stderr, "PGORIGIN_SHUTDOWN_TIMEOUT") {
			t.Errorf("%s: %+v while a transaction is open", wait, got)
		}
	}
	_ = client.Close()
	r.WantExit(t, cli.ExitOK)
}

// startRun starts "pgorigin run".
func startRun(t *testing.T, env ...string) *cmdtest.Running {
	t.Helper()
	return cmdtest.Start(t, env, func(ctx context.Context, p cli.Process) int { return run(ctx, nil, p.Env, p.Stdout, p.Stderr) })
}
