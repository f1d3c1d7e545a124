//go:build unix

package evloop

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// The functions of state_*.go ask the kernel about a connection. They neither wait nor take anything from it.
// For a connection without a descriptor the answer is no.

// withDescriptor calls ask with conn's descriptor, if it has one.
func withDescriptor(conn net.Conn, ask func(fd int)) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { ask(int(fd)) })
}

// Peek reads into p without taking anything from the connection. ended reports the end of the stream or a
// broken connection, with nothing unread before it. Without anything to read, n is 0.
func Peek(conn net.Conn, p []byte) (n int, ended bool) {
	withDescriptor(conn, func(fd int) {
		got, _, err := syscall.Recvfrom(fd, p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		case err != nil, got == 0:
			ended = true
		default:
			n = got
		}
	})
	return n, ended
}

// HasInput reports whether there is something to read.
func HasInput(conn net.Conn) bool { return pollNow(conn, unix.POLLIN)&unix.POLLIN != 0 }

// AwaitInput calls found whenever something may have come that can be read, until it returns true. It takes
// nothing from the connection, from which nobody may read meanwhile. It returns false when the read deadline
// of conn ends the wait, and at once for a connection without a descriptor.
func AwaitInput(conn net.Conn, found func() bool) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	return raw.Read(func(uintptr) bool { return found() }) == nil
}

// pollNow returns which of events there are. POLLERR and POLLHUP are always among those asked for.
func pollNow(conn net.Conn, events int16) (found int16) {
	withDescriptor(conn, func(fd int) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 {
			found = fds[0].Revents
		}
	})
	return found
}
