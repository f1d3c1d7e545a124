//go:build !unix

package execute

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	sigContinue  = syscall.Signal(0) // there is none
	sigTerminate = syscall.SIGTERM
)

// catchSignals catches Ctrl-C, which each process of the console gets, and the end of the console.
func catchSignals() chan os.Signal {
	caught := make(chan os.Signal, 2)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM)
	return caught
}

// pass gives the child what it has not got itself: nothing. The console gives its events to all.
func (*execution) pass(os.Signal, *time.Timer) {}

// endsProcess reports whether sig asks a process to end.
func endsProcess(os.Signal) bool { return true }

// numberOf returns a code for a process that sig has ended.
func numberOf(os.Signal) int { return 1 }

// dieOf returns: no process ends by a signal.
func dieOf(int) {}
