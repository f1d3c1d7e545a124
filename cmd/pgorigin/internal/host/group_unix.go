//go:build unix

package host

import (
	"slices"

	"golang.org/x/sys/unix"
)

// InForeground reports whether the keys of the controlling terminal, such as Ctrl-C, signal one of these
// process groups. Without a terminal, they signal none.
func InForeground(groups ...int) bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	foreground, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && slices.Contains(groups, foreground)
}
