package pgwire

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the peer has ended its stream or is gone, whatever it has sent before. Of a connection without
// descriptor nobody knows.
func hungUp(conn net.Conn) bool {
	return pollNow(conn, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// hasInput reports whether something can be read that nobody has read yet.
func hasInput(conn net.Conn) bool { return pollNow(conn, unix.POLLIN)&unix.POLLIN != 0 }

// pollNow returns which of events there are, and what the kernel tells unasked. It neither waits nor reads.
func pollNow(conn net.Conn, events int16) (found int16) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 {
			found = fds[0].Revents
		}
	})
	return found
}
