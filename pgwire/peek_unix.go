//go:build unix

package pgwire

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"
)

// hasLeft reports whether the client on conn has ended its stream, said goodbye or broken its connection, with nothing
// unread before that. It neither waits nor takes anything, and knows nothing about a connection without a descriptor.
func hasLeft(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	left := false
	_ = raw.Control(func(fd uintptr) {
		head := make([]byte, messageHeader)
		n, _, err := syscall.Recvfrom(int(fd), head, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
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
