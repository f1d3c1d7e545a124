package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// warmUp is how long a pgbench runs, once its clients are connected, before it is measured.
const warmUp = 200 * time.Millisecond

// endless is longer than any run takes, in seconds; SIGALRM, by which pgbench tells itself the time, ends it.
const endless = "600"

// load is what pgbench does.
type load struct {
	clients int
	span    time.Duration // how long it is measured
	args    []string
}

// mark is what is read at both ends of a window.
type mark struct {
	at    time.Time
	cpu   time.Duration
	calls float64
}

// take reads clock and accounts. p may be nil, and so may calls.
func take(p *servers.Process, calls *callCounter) (m mark, err error) {
	if p != nil {
		if m.cpu, err = cpuTime(p.PID()); err != nil {
			return m, err
		}
	}
	if calls != nil {
		if m.calls, err = calls.read(); err != nil {
			return m, err
		}
	}
	m.at = time.Now()
	return m, nil
}

// drive runs pgbench through t, whose clients stay connected, and measures a window in the midst of it.
func (s *stage) drive(ctx context.Context, t *tunnel, l load, calls *callCounter) (*window, error) {
	run, err := s.startPgbench(ctx, t, min(l.clients, 2), append([]string{"-c", strconv.Itoa(l.clients), "-T", endless}, l.args...)...)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if err := run.awaitWork(ctx); err != nil {
		return nil, err
	}
	if err := pause(ctx, warmUp); err != nil {
		return nil, err
	}
	first, err := take(t.process, calls)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, l.span); err != nil {
		return nil, err
	}
	last, err := take(t.process, calls)
	if err != nil {
		return nil, err
	}
	if err := run.end(syscall.SIGALRM); err != nil {
		return nil, err
	}
	return run.window(first, last)
}

// churn runs pgbench through t to its end; every transaction has a connection of its own.
func (s *stage) churn(ctx context.Context, t *tunnel, clients int, args ...string) (*window, error) {
	first, err := take(t.process, nil)
	if err != nil {
		return nil, err
	}
	run, err := s.startPgbench(ctx, t, clients, append([]string{"-C", "-c", strconv.Itoa(clients)}, args...)...)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if err := run.end(0); err != nil {
		return nil, err
	}
	last, err := take(t.process, nil)
	if err != nil {
		return nil, err
	}
	return run.window(first, last)
}

// pgbench is one run. Close it.
type pgbench struct {
	folder  string // of its logs
	threads int
	signal  func(os.Signal) error
	ended   chan struct{} // closed when it has ended, with err
	err     error
}

func (s *stage) startPgbench(ctx context.Context, t *tunnel, threads int, args ...string) (*pgbench, error) {
	folder, err := os.MkdirTemp(s.lab.Dir(), "pgbench-")
	if err != nil {
		return nil, fmt.Errorf("create folder for logs of pgbench: %w", err)
	}
	common := []string{"-n", "-j", strconv.Itoa(threads), "-l", "--log-prefix", filepath.Join(folder, "log")}
	cmd := s.lab.Pgbench(ctx, t.dsn(), append(common, args...)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start pgbench: %w", err), os.RemoveAll(folder))
	}
	run := &pgbench{folder: folder, threads: threads, signal: cmd.Process.Signal, ended: make(chan struct{})}
	go func() {
		if err := cmd.Wait(); err != nil {
			run.err = fmt.Errorf("run pgbench: %w\n%s", err, output.String())
		}
		close(run.ended)
	}()
	return run, nil
}

// Close stops pgbench, if it still runs, and removes its logs.
func (b *pgbench) Close() {
	_ = b.signal(os.Kill)
	<-b.ended
	_ = os.RemoveAll(b.folder)
}

// end sends a signal, unless it is 0, and waits for the end.
func (b *pgbench) end(sig syscall.Signal) error {
	if sig != 0 {
		_ = b.signal(sig) // it may have ended, which is the error
	}
	<-b.ended
	return b.err
}

// awaitWork returns when every thread of pgbench has written to its log, which it does by the block of 4 KiB.
func (b *pgbench) awaitWork(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("pgbench does not begin"))
	defer cancel()
	return servers.Poll(ctx, func() error {
		select {
		case <-b.ended:
			cancel()
			return fmt.Errorf("pgbench has ended too early: %w", b.err)
		default:
			return b.logged()
		}
	})
}

func (b *pgbench) logged() error {
	logs, err := filepath.Glob(filepath.Join(b.folder, "log.*"))
	if err != nil || len(logs) < b.threads {
		return errors.Join(err, errors.New("pgbench has not begun to log"))
	}
	for _, path := range logs {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			return errors.Join(err, errors.New("pgbench has logged nothing"))
		}
	}
	return nil
}

// window reads from the logs what happened between two marks.
func (b *pgbench) window(first, last mark) (*window, error) {
	w := &window{length: last.at.Sub(first.at), cpu: last.cpu - first.cpu, calls: last.calls - first.calls}
	if err := w.readLogs(b.folder, first.at, last.at); err != nil {
		return nil, err
	}
	if len(w.latencies) == 0 || len(w.gaps) == 0 {
		return nil, fmt.Errorf("pgbench finished no two transactions of a client in %v", w.length)
	}
	return w, nil
}

// pause waits for d, or for the end of ctx, which is an error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
