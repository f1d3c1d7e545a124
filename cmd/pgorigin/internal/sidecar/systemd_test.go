package sidecar

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/health"
)

// serviceManager is the receiving end of sd_notify.
func serviceManager(t *testing.T) *net.UnixConn {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	return conn
}

// wantState reads the next message, which begins with want.
func wantState(t *testing.T, manager *net.UnixConn, want string) (got string) {
	t.Helper()
	_ = manager.SetReadDeadline(time.Now().Add(cmdtest.Patience))
	var buf [512]byte
	n, err := manager.Read(buf[:])
	if got = string(buf[:n]); err != nil || !strings.HasPrefix(got, want) {
		t.Fatalf("the service manager was told %q, %v, want %q", got, err, want)
	}
	return got
}

func TestServiceManagerIsTold(t *testing.T) {
	manager := serviceManager(t)
	r := start(t, cmdtest.StartUpstream(t)...)
	wantState(t, manager, "READY=1")
	r.hangups <- syscall.SIGHUP
	reloading := wantState(t, manager, "RELOADING=1\nMONOTONIC_USEC=")
	var usec int64
	if _, err := fmt.Sscanf(reloading, "RELOADING=1\nMONOTONIC_USEC=%d", &usec); err != nil || usec <= 0 {
		t.Errorf("%q: %v", reloading, err)
	}
	wantState(t, manager, "READY=1")
	r.Stop()
	wantState(t, manager, "STOPPING=1")
	r.WantExit(t, cli.ExitOK)
}

// A service manager that does not read is given up, so it cannot keep the process from ending.
func TestServiceManagerThatDoesNotRead(t *testing.T) {
	manager := serviceManager(t)
	r := start(t, cmdtest.StartUpstream(t)...)
	var full error
	for i := 0; i < 10000 && full == nil; i++ {
		full = host.Notify(manager.LocalAddr().String(), "WATCHDOG=1")
	}
	if !errors.Is(full, os.ErrDeadlineExceeded) {
		t.Fatalf("a full queue gives %v", full)
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
	r.Stderr.Wait(t, "cannot notify service manager")
}

func TestWatchdog(t *testing.T) {
	manager := serviceManager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	r := start(t, cmdtest.StartUpstream(t)...)
	for beats, ready := 0, false; beats < 3 || !ready; { // which comes first does not matter
		if wantState(t, manager, "") == "READY=1" {
			ready = true
			continue
		}
		beats++
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// TestReadyWhenStarted: a start that waits for the upstream is not over before /startupz says so.
func TestReadyWhenStarted(t *testing.T) {
	manager := serviceManager(t)
	var reached atomic.Bool
	s := &Sidecar{status: new(health.Status), log: zap.NewNop()}
	s.status.Started()
	s.status.AddStartup("upstream", func() (string, error) {
		if !reached.Load() {
			return "", errors.New("not reached yet")
		}
		return "", nil
	})
	s.notifyStarted(t.Context())
	s.notify("STATUS=not yet")
	wantState(t, manager, "STATUS=not yet")
	reached.Store(true)
	wantState(t, manager, "READY=1")
	s.tasks.Wait()
}
