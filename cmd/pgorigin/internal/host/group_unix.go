//go:build unix

package host

import "golang.org/x/sys/unix"

// HasTerminal reports whether the process has a controlling terminal.
func HasTerminal() bool {
	_, err := foregroundGroup()
	return err == nil
}

// InForeground reports whether the keys of the controlling terminal, such as Ctrl-C, signal the process group
// of this process.
func InForeground() bool {
	group, err := foregroundGroup()
	return err == nil && group == unix.Getpgrp()
}

// foregroundGroup returns the process group in the foreground of the controlling terminal.
func foregroundGroup() (int, error) {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.IoctlGetInt(fd, unix.TIOCGPGRP)
}
