package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a process gets to answer one signal of Stop before the next, harder one is sent.
const stopGrace = 10 * time.Second

// Process is one running program. The Lab that started it stops it at the latest.
type Process struct {
	// Name is the program with a number, as in "postgres-1"; its log file has the same name.
	Name string
	// Log holds standard output and standard error.
	Log *Log

	cmd         *exec.Cmd
	stopSignals []syscall.Signal
	ended       chan struct{} // closed after the process was reaped
	stopOnce    sync.Once
}

// start runs cmd and stops it, when the Lab closes, by the given signals in turn.
func (l *Lab) start(name string, cmd *exec.Cmd, stopSignals ...syscall.Signal) (*Process, error) {
	name = fmt.Sprintf("%s-%d", name, l.number.Add(1))
	file, err := os.Create(filepath.Join(l.dir, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("create log file: %w", err)
	}
	p := &Process{Name: name, Log: newLog(file), cmd: cmd, stopSignals: stopSignals, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Log, p.Log
	cmd.WaitDelay = stopGrace // a child of it may hold the pipe for a little longer
	if err := cmd.Start(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // the exit code is in cmd.ProcessState
		_ = file.Close()
		close(p.ended)
	}()
	l.mu.Lock()
	l.processes = append(l.processes, p)
	l.mu.Unlock()
	return p, nil
}

// Start runs a client that works until it is told to stop: cmd is one of Psql or Pgbench. The Lab ends it when it closes.
func (l *Lab) Start(name string, cmd *exec.Cmd) (*Process, error) {
	return l.start(name, cmd, syscall.SIGTERM)
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// ProcessorTime returns what the process has used so far, in hundredths of a second. Linux only.
func (p *Process) ProcessorTime() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	_, behindName, _ := strings.Cut(string(stat), ") ") // the name may have blanks
	var user, system time.Duration
	if _, err := fmt.Sscan(strings.Join(strings.Fields(behindName)[11:13], " "), &user, &system); err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return (user + system) * 10 * time.Millisecond, nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Signal sends one signal; a process that has ended already is an error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// ExitCode waits for the end and returns the exit code, -1 after a signal that was not caught.
func (p *Process) ExitCode(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s has not ended: %w; its log ends with:\n%s", p.Name, context.Cause(ctx), p.Log.Tail(20))
	}
}

// Stop ends the process by its own stop signals, the last of which is SIGKILL, and returns when it is gone.
func (p *Process) Stop() {
	p.stopOnce.Do(func() {
		for _, sig := range append(p.stopSignals, syscall.SIGKILL) {
			_ = p.cmd.Process.Signal(sig) // it may have ended already
			select {
			case <-p.ended:
				return
			case <-time.After(stopGrace):
			}
		}
	})
	<-p.ended
}

// Await returns when the process has printed a line that contains all of the given words, or an error when it ends first.
func (p *Process) Await(ctx context.Context, words ...string) error {
	return p.awaitLine(ctx, words...)
}

// awaitLine is Log.AwaitLine that gives up when the process ends.
func (p *Process) awaitLine(ctx context.Context, words ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.ended:
			cancel(errors.New(p.Name + " has ended"))
		case <-ctx.Done():
		}
	}()
	_, err := p.Log.AwaitLine(ctx, words...)
	return err
}

// Poll calls ready every few milliseconds until it returns nil; when ctx ends first, the last error tells why.
func Poll(ctx context.Context, ready func() error) error {
	return PollEvery(ctx, 10*time.Millisecond, ready)
}

// PollEvery is Poll with an interval of one's own.
func PollEvery(ctx context.Context, interval time.Duration, ready func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}
