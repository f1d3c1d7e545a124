//go:build unix

package execute

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// child is the command that runs.
type child struct {
	process *os.Process
	stops   chan bool // receives true when the child is stopped, and false when it continues
	ended   chan end  // receives one
}

// startChild starts the program at path. It stays in the process group of pgorigin, so that the shell and the
// terminal treat both as one job. It has the same stdin, stdout, stderr and further descriptors.
func startChild(path string, argv, env []string) (*child, error) {
	c := &child{stops: make(chan bool), ended: make(chan end, 1)}
	started := make(chan error)
	go func() {
		// Linux takes the end of this thread for the end of the parent.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var err error
		c.process, err = os.StartProcess(path, argv, &os.ProcAttr{
			Env: env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: endsWithParent(),
		})
		started <- err
		if err == nil {
			c.ended <- c.wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	return c, nil
}

// wait waits for the end of the child. As the first process of a container,
// pgorigin is the parent of every orphan, so it also waits for those. pgorigin starts no other process: the
// exit code of one could be lost here.
func (c *child) wait() end {
	pid := c.process.Pid
	target := pid
	if host.AdoptsOrphans() {
		target = -1
	}
	options := syscall.WUNTRACED | syscall.WCONTINUED
	for {
		var status syscall.WaitStatus
		changed, err := syscall.Wait4(target, &status, options, nil)
		options &^= syscall.WNOHANG
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil: // impossible: nobody else waits for it
			return end{code: exitCannotStart}
		case changed == 0: // it is still stopped
			stopProcess()
		case changed != pid:
		case status.Exited():
			return end{code: status.ExitStatus()}
		case status.Signaled():
			return diedOf(int(status.Signal()))
		case status.Stopped():
			c.stops <- true
			if target == pid && sharesTerminal(pid) {
				options |= syscall.WNOHANG // this process may have been stopped, too, and both may go on by now
			}
		case status.Continued():
			c.stops <- false
		}
	}
}

// sharesTerminal reports whether the terminal belongs to this process or to the child, so that nobody could use
// it while the child is stopped.
func sharesTerminal(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return err == nil && host.InForeground(syscall.Getpgrp(), group)
}

// stopProcess stops this process, because the child has been stopped, as by Ctrl-Z. The shell waits for this
// process alone, and continues both.
func stopProcess() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }

// signal sends a signal to the child. A child that has ended gets none.
func (c *child) signal(sig os.Signal) { _ = c.process.Signal(sig) }

func isFormatError(err error) bool { return errors.Is(err, syscall.ENOEXEC) }
