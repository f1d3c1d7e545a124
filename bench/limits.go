package main

import (
	"fmt"
	"syscall"
)

// raiseLimit lets this program, and what it starts, have as many descriptors as the machine permits.
func raiseLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read limit of descriptors: %w", err)
	}
	if limit.Max < 50_000 && syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 50_000, Max: 50_000}) == nil {
		return nil // only a privileged process may
	}
	// Explicitly: children of a Go program have the limit that it was started with unless it set one itself.
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise limit of descriptors: %w", err)
	}
	return nil
}
