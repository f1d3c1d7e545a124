package main

import (
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

// TestPortInUse: the error names address and variable, nothing is announced, and what was bound before is free again.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct{ variable, other string }{
		{"PGORIGIN_LISTEN_ADDR", "PGORIGIN_HEALTH_ADDR"},
		{"PGORIGIN_HEALTH_ADDR", "PGORIGIN_LISTEN_ADDR"},
	} {
		free := freeAddr(t)
		env := append(startUpstream(t), row.variable+"="+taken.Addr().String(), row.other+"="+free)
		got := runWith(t, env)
		if got.code != cli.ExitFailed || strings.Contains(got.stderr, `"message":"ready"`) || strings.Contains(got.stderr, "listening") {
			t.Errorf("%s: %+v", row.variable, got)
		}
		for _, part := range []string{"cannot listen", taken.Addr().String(), row.variable, "address already in use"} {
			if !strings.Contains(got.stderr, part) {
				t.Errorf("%s: no %q in %s", row.variable, part, got.stderr)
			}
		}
		ln, err := net.Listen("tcp", free)
		if err != nil {
			t.Fatalf("the other listener was left behind: %v", err)
		}
		_ = ln.Close()
	}
}

// TestRunEndsWithItsContext is the whole command, health endpoints off, a warning on the way.
func TestRunEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stderr := newLogWatcher()
	env := append(startUpstream(t), "PGORIGIN_LISTEN_ADDR="+freeAddr(t), "PGORIGIN_HEALTH_ADDR=off",
		"PGORIGIN_UNKNOWN_ENV=warn", "PGORIGIN_FROBNICATE=1")
	code := make(chan int, 1)
	go func() { code <- run(ctx, nil, env, io.Discard, stderr) }()
	stderr.wait(t, "ready")
	if line := stderr.wait(t, "doubtful configuration"); !strings.Contains(line["doubt"].(string), "PGORIGIN_FROBNICATE") {
		t.Errorf("line is %v", line)
	}
	stop()
	wantCode(t, code, cli.ExitOK)
	if text, _ := stderr.read(); strings.Contains(text, `"for":"health"`) {
		t.Errorf("a health listener was announced:\n%s", text)
	}
}

// TestSIGTERM sends this very process the signal; run has to catch it.
func TestSIGTERM(t *testing.T) {
	stderr := newLogWatcher()
	env := append(startUpstream(t), "PGORIGIN_LISTEN_ADDR="+freeAddr(t), "PGORIGIN_HEALTH_ADDR="+freeAddr(t))
	code := make(chan int, 1)
	go func() { code <- run(t.Context(), []string{"run"}, env, io.Discard, stderr) }()
	stderr.wait(t, "ready")
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantCode(t, code, cli.ExitOK)
}

func TestAFailedListenerEndsTheProcess(t *testing.T) {
	r := start(t, startUpstream(t)...)
	_ = r.instance.origins[0].clients[0].Close()
	r.wantExit(t, cli.ExitFailed)
	r.stderr.wait(t, "listener failed")
}

func wantCode(t *testing.T, code <-chan int, want int) {
	t.Helper()
	select {
	case got := <-code:
		if got != want {
			t.Errorf("exit code %d, want %d", got, want)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}
