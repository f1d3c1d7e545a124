package sidecar

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// TestPortInUse: the error names address and variable, nothing is announced, and what was bound before is free again.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", cmdtest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, row := range []struct{ variable, other string }{
		{"PGORIGIN_LISTEN_ADDR", "PGORIGIN_HEALTH_ADDR"},
		{"PGORIGIN_HEALTH_ADDR", "PGORIGIN_LISTEN_ADDR"},
	} {
		free := cmdtest.FreeAddr(t)
		env := append(cmdtest.StartUpstream(t), row.variable+"="+taken.Addr().String(), row.other+"="+free)
		got := runToEnd(t, env)
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
	stderr := cmdtest.NewLogWatcher()
	env := append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_HEALTH_ADDR=off",
		"PGORIGIN_UNKNOWN_ENV=warn", "PGORIGIN_FROBNICATE=1")
	code := make(chan int, 1)
	go func() { code <- Run(ctx, cli.Process{Env: env, Stdout: io.Discard, Stderr: stderr}) }()
	stderr.Wait(t, "ready")
	if line := stderr.Wait(t, "configuration warning"); !strings.Contains(line["warning"].(string), "PGORIGIN_FROBNICATE") {
		t.Errorf("line is %v", line)
	}
	stop()
	cmdtest.WantCode(t, code, cli.ExitOK)
	if text, _ := stderr.Text(); strings.Contains(text, `"for":"health"`) {
		t.Errorf("a health listener was announced:\n%s", text)
	}
}

// TestSIGTERM sends this very process the signal; run has to catch it.
func TestSIGTERM(t *testing.T) {
	stderr := cmdtest.NewLogWatcher()
	env := append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_HEALTH_ADDR="+cmdtest.FreeAddr(t))
	code := make(chan int, 1)
	go func() { code <- Run(t.Context(), cli.Process{Env: env, Stdout: io.Discard, Stderr: stderr}) }()
	stderr.Wait(t, "ready")
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	cmdtest.WantCode(t, code, cli.ExitOK)
}

func TestAFailedListenerEndsTheProcess(t *testing.T) {
	r := start(t, cmdtest.StartUpstream(t)...)
	_ = r.sidecar.origins[0].listeners[0].Close()
	r.WantExit(t, cli.ExitFailed)
	r.Stderr.Wait(t, "listener failed")
}

// ended is what a pgorigin that did not start left behind.
type ended struct {
	code   int
	stderr string
}

func runToEnd(t *testing.T, env []string) ended {
	t.Helper()
	var stderr strings.Builder
	code := Run(t.Context(), cli.Process{Env: env, Stdout: io.Discard, Stderr: &stderr})
	return ended{code, stderr.String()}
}
