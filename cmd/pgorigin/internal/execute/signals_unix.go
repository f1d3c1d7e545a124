//go:build unix

package execute

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

const (
	sigContinue  = syscall.SIGCONT
	sigTerminate = syscall.SIGTERM
)

// maxPending is how many signals may wait for each other. The kernel keeps one of each.
const maxPending = 64

// catchSignals catches every signal that may be meant for the command. SIGHUP and SIGINT stay ignored, for
// the command, too, if they are: nohup counts on that. Of other signals, Go does not tell.
func catchSignals() chan os.Signal {
	caught := make(chan os.Signal, maxPending)
	for _, sig := range append(systemSignals(),
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGALRM, syscall.SIGTERM, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGWINCH, syscall.SIGIO,
	) {
		if !signal.Ignored(sig) {
			signal.Notify(caught, sig)
		}
	}
	return caught
}

// pass gives the child a signal that it has not got itself.
func (e *execution) pass(sig os.Signal, resume *time.Timer) {
	foreground := host.InForeground(syscall.Getpgrp()) // the terminal signals each process of the group
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT:
		if foreground && time.Since(e.started) > startTime {
			return
		}
	case syscall.SIGWINCH:
		if foreground {
			return
		}
	case syscall.SIGTSTP:
		if foreground || e.stopped || time.Since(e.changed) < resumeAfter {
			return
		}
	case syscall.SIGCONT:
		if e.stopped {
			resume.Reset(resumeAfter)
		}
		if e.stopped || time.Since(e.changed) < resumeAfter {
			return
		}
	case syscall.SIGHUP:
		select {
		case e.reload <- sig:
		default: // it is about to read them
		}
	}
	e.child.signal(sig)
}

// endsProcess reports whether sig asks a process to end.
func endsProcess(sig os.Signal) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGABRT:
		return true
	}
	return false
}

func numberOf(sig os.Signal) int {
	number, _ := sig.(syscall.Signal)
	return int(number)
}

// dieTimeout is more than the kernel needs to deliver a signal.
const dieTimeout = time.Second

// dieOf ends this process by a signal. It returns if that is impossible: the kernel keeps signals from the
// first process, and the Go runtime answers other signals with stacks.
func dieOf(number int) {
	sig := syscall.Signal(number)
	deadly := []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL}
	if os.Getpid() == 1 || !slices.Contains(deadly, sig) {
		return
	}
	signal.Reset(sig)
	if syscall.Kill(os.Getpid(), sig) == nil {
		<-time.After(dieTimeout)
	}
}
