package sidecar

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// TestPortOfAnOriginInUse: nothing is announced, and what was bound for the other origin is free again.
func TestPortOfAnOriginInUse(t *testing.T) {
	taken, err := net.Listen("tcp", cmdtest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := cmdtest.FreeAddr(t)
	env := append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_ADDR="+free, "PGORIGIN_HEALTH_ADDR=off", "PGORIGIN_ORIGINS=reporting",
		"PGORIGIN_REPORTING_UPSTREAM_ADDR=db.internal", "PGORIGIN_REPORTING_LISTEN_ADDR="+taken.Addr().String())
	got := runToEnd(t, env)
	if got.code != cli.ExitFailed || strings.Contains(got.stderr, "listening") {
		t.Errorf("%+v", got)
	}
	for _, part := range []string{`"message":"cannot listen","origin":"reporting"`, "set PGORIGIN_REPORTING_LISTEN_ADDR to a free address"} {
		if !strings.Contains(got.stderr, part) {
			t.Errorf("no %q in %s", part, got.stderr)
		}
	}
	ln, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatalf("the listener of the other origin was left behind: %v", err)
	}
	_ = ln.Close()
}

// TestSecondSignalCutsAllOrigins: a session of each origin is ended with a word.
func TestSecondSignalCutsAllOrigins(t *testing.T) {
	r, reporting := startTwo(t, startCancellable(t, "first"), startCancellable(t, "second"))
	one, two := r.Login(t), reporting.Login(t)
	r.signals <- syscall.SIGTERM
	r.Stderr.Wait(t, "draining")
	r.signals <- syscall.SIGTERM
	one.ExpectError("57P01")
	two.ExpectError("57P01")
	_ = one.Close()
	_ = two.Close()
	r.WantExit(t, cli.ExitFailed)
}

// TestAFailedListenerOfAnOrigin ends the process, as that of the only one does; the log says which.
func TestAFailedListenerOfAnOrigin(t *testing.T) {
	r, _ := startTwo(t, startCancellable(t, "first"), startCancellable(t, "second"))
	_ = r.sidecar.origins[1].listeners[0].Close()
	r.WantExit(t, cli.ExitFailed)
	if line := r.Stderr.Wait(t, "listener failed"); !strings.HasPrefix(line["error"].(string), "listener of origin reporting: ") {
		t.Errorf("line is %v", line)
	}
}
