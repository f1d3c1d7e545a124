//go:build unix

package host

import "golang.org/x/sys/unix"

// Readable reports whether a read or an accept on fd would return at once.
func Readable(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLIN != 0
}
