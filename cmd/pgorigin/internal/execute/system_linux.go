package execute

import (
	"os"
	"syscall"
)

// The first and the last of the real-time signals that the C library leaves to programs.
const firstRealTime, lastRealTime = syscall.Signal(35), syscall.Signal(64)

// systemSignals are those that only Linux has.
func systemSignals() []os.Signal {
	all := []os.Signal{syscall.SIGPWR}
	for sig := firstRealTime; sig <= lastRealTime; sig++ {
		all = append(all, sig)
	}
	return all
}

// endsWithParent lets the kernel tell the child to end when pgorigin was killed: it would go on without a
// database, beside the next one that a supervisor starts.
func endsWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
