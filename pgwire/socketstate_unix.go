//go:build unix

package pgwire

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// The questions of these files ask the kernel about a connection. They neither wait nor take anything from
// it. Nothing is known about a connection without a descriptor, and the answer is no.

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

// hasLeft reports whether a client has ended its stream, sent Terminate or broken its connection, with
// nothing unread before that.
func hasLeft(client net.Conn) (left bool) {
	withDescriptor(client, func(fd int) {
		head := make([]byte, messageHeader)
		n, _, err := syscall.Recvfrom(fd, head, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		case err != nil, n == 0:
			left = true
		case n == messageHeader:
			left = head[0] == typeTerminate && binary.BigEndian.Uint32(head[1:]) == messageHeader-1
		}
	})
	return left
}

// hasInput reports whether there is something to read.
func hasInput(conn net.Conn) bool { return pollNow(conn, unix.POLLIN)&unix.POLLIN != 0 }

// pollNow returns which of events there are, and what the kernel tells unasked.
func pollNow(conn net.Conn, events int16) (found int16) {
	withDescriptor(conn, func(fd int) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 {
			found = fds[0].Revents
		}
	})
	return found
}
