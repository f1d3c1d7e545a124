//go:build drivers

package drivers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// Bounds for the time that a program is at work, before and after the restart; waiting does not count.
const (
	runLimit     = 2 * time.Minute
	restartLimit = time.Minute
)

// run is one driver in one mode against one upstream.
type run struct {
	driver   driver
	upstream *upstream
	mode     string
	env      []string
	dir      string

	slots     chan struct{}
	arrived   func() // may be called more than once
	restarted <-chan struct{}
}

// line is what a program prints.
type line struct {
	Check   string `json:"check"`
	OK      *bool  `json:"ok"`
	Note    string `json:"note"`
	Version string `json:"version"`
	Waiting string `json:"waiting"`
}

// outcome is what a program printed in all.
type outcome struct {
	lines []line
	err   error
}

// do runs the program to its end. It always arrives, so that the restart comes for the others.
func (r *run) do(ctx context.Context) outcome {
	defer r.arrived()
	r.slots <- struct{}{}
	defer func() { <-r.slots }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := time.AfterFunc(runLimit, func() { cancel(fmt.Errorf("it is still at work after %s", runLimit)) })
	defer limit.Stop()

	cmd := exec.CommandContext(ctx, r.driver.command[0], r.driver.command[1:]...)
	cmd.Dir, cmd.Env = r.dir, append(append([]string{}, r.env...), r.driver.env...)
	// A shell program has children, which must not stay when it is ended.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var problems bytes.Buffer
	cmd.Stderr = &problems
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		return outcome{err: err}
	}
	var out outcome
	scanner := bufio.NewScanner(stdout)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			out.err = errors.Join(out.err, fmt.Errorf("read line %.200q: %w", scanner.Text(), err))
			continue
		}
		if l.Waiting == "" {
			out.lines = append(out.lines, l)
			continue
		}
		limit.Stop()
		r.awaitRestart(ctx)
		limit.Reset(restartLimit)
		_, err := io.WriteString(stdin, "\n")
		out.err = errors.Join(out.err, err)
	}
	out.err = errors.Join(out.err, scanner.Err(), cmd.Wait())
	if out.err != nil {
		out.err = fmt.Errorf("%w; it says:\n%.3000s", errors.Join(out.err, context.Cause(ctx)), problems.String())
	}
	return out
}

// awaitRestart lets others work while this program waits.
func (r *run) awaitRestart(ctx context.Context) {
	<-r.slots
	r.arrived()
	select {
	case <-r.restarted:
	case <-ctx.Done():
	}
	r.slots <- struct{}{}
}
