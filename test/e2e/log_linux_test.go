package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/test/servers"
)

// ownStderr is a pgorigin whose stderr belongs to the test.
type ownStderr struct {
	cmd    *exec.Cmd
	addr   string
	health string
	ended  chan error
}

// startWith starts pgorigin in front of PostgreSQL with that stderr, and returns when it is ready.
func startWith(ctx context.Context, t *testing.T, stderr *os.File, env ...string) *ownStderr {
	t.Helper()
	port, health := freePort(t), freePort(t)
	o := &ownStderr{addr: "127.0.0.1:" + port, health: "http://127.0.0.1:" + health, ended: make(chan error, 1)}
	o.cmd = exec.CommandContext(t.Context(), shared.binary)
	o.cmd.Env = append([]string{
		"GORACE=atexit_sleep_ms=10", "PGORIGIN_UPSTREAM_ADDR=" + shared.postgres.Addr, "PGORIGIN_LISTEN_ADDR=" + o.addr,
		"PGORIGIN_HEALTH_ADDR=127.0.0.1:" + health, "PGORIGIN_TLS_CA_FILE=" + shared.lab.CAFile, "PGORIGIN_LOG_FORMAT=json",
	}, env...)
	o.cmd.Stderr = stderr
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { o.ended <- o.cmd.Wait() }()
	t.Cleanup(func() { _ = o.cmd.Process.Kill() }) // it may have ended
	ready := func() error {
		_, err := o.get(ctx, "/readyz")
		return err
	}
	if err := servers.Poll(ctx, ready); err != nil {
		t.Fatalf("wait for pgorigin: %v", err)
	}
	return o
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (o *ownStderr) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.health+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", path, response.Status, body)
	}
	return string(body), err
}

// wantLostLines waits for a session's last line to be counted as lost.
func (o *ownStderr) wantLostLines(ctx context.Context, t *testing.T) {
	t.Helper()
	err := servers.Poll(ctx, func() error {
		metrics, err := o.get(ctx, "/metrics")
		if err == nil && !regexp.MustCompile(`(?m)^pgorigin_log_lines_dropped_total [1-9]`).MatchString(metrics) {
			err = errors.New("no lost line is counted")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// wantEnd sends SIGTERM and wants exit code 0.
func (o *ownStderr) wantEnd(ctx context.Context, t *testing.T) {
	t.Helper()
	if err := o.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-o.ended:
		if err != nil {
			t.Errorf("pgorigin ended with %v", err)
		}
	case <-ctx.Done():
		t.Fatal("SIGTERM does not end it")
	}
}

// useSessions logs in and out; with MAX_SESSIONS that works only if ended sessions give their slots back.
func useSessions(ctx context.Context, t *testing.T, addr string, count int) {
	t.Helper()
	for i := range count {
		conn := connect(ctx, t, addr)
		if got := ask[int](ctx, t, conn, "SELECT 1"); got != 1 {
			t.Fatalf("session %d: %d", i, got)
		}
		if err := conn.Close(ctx); err != nil {
			t.Fatalf("session %d: %v", i, err)
		}
	}
}

// smallPipe holds one page, so that it is full after a few lines.
func smallPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	raw, err := writer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { _, err = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 4096) }); err != nil {
		t.Fatal(err)
	}
	return reader, writer
}

// Nobody reads the log. Sessions come and go, probes are answered, and SIGTERM ends it all.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	_, stderr := smallPipe(t)
	origin := startWith(ctx, t, stderr, "PGORIGIN_MAX_SESSIONS=5")
	stderr.Close()
	useSessions(ctx, t, origin.addr, 60)
	if _, err := origin.get(ctx, "/metrics"); err != nil {
		t.Error(err)
	}
	origin.wantEnd(ctx, t)
}

// SIGQUIT is for all stacks. A reader of the log that takes none must not keep the process.
func TestQuitWhileNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	_, stderr := smallPipe(t)
	origin := startWith(ctx, t, stderr)
	stderr.Close()
	useSessions(ctx, t, origin.addr, 60)
	if err := origin.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-origin.ended:
		if code := origin.cmd.ProcessState.ExitCode(); code != 2 {
			t.Errorf("exit code %d, want 2", code)
		}
	case <-ctx.Done():
		t.Fatal("SIGQUIT does not end it")
	}
}

// The reader of the log goes away, as a log collector that restarts does.
func TestTheReaderOfTheLogLeaves(t *testing.T) {
	ctx := testContext(t)
	reader, stderr := smallPipe(t)
	origin := startWith(ctx, t, stderr)
	stderr.Close()
	reader.Close()
	useSessions(ctx, t, origin.addr, 3)
	origin.wantLostLines(ctx, t)
	origin.wantEnd(ctx, t)
}

// A full disk costs lines, which are counted, and nothing else.
func TestTheDiskOfTheLogIsFull(t *testing.T) {
	ctx := testContext(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	origin := startWith(ctx, t, full)
	useSessions(ctx, t, origin.addr, 3)
	origin.wantLostLines(ctx, t)
	origin.wantEnd(ctx, t)
}
