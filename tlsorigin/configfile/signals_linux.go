package configfile

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// withoutSignals runs f on a thread that takes none of the signals that end or reload a process. The kernel
// may give such a signal to any thread that takes it, the main one first. In a thread that hangs in a mount
// it would wait there.
func withoutSignals(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set, before unix.Sigset_t
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		set.Val[0] |= 1 << (sig - 1) // all of them are below 32
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before); err == nil {
		defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }()
	}
	f()
}
