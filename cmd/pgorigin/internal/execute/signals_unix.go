//go:build unix

package execute

import (
	"os"
	"os/signal"
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
	switch sig {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
		if host.InForeground() {
			return // the terminal gives it to each process of the group
		}
	case syscall.SIGCONT:
		switch {
		case e.stopped:
			resume.Reset(resumeAfter)
			return
		case time.Since(e.resumed) < resumeAfter: // it has got the same one
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

// signalCode is the exit code of a process that sig has ended.
func signalCode(sig os.Signal) int {
	number, _ := sig.(syscall.Signal)
	return exitSignal + int(number)
}
