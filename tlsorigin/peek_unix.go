//go:build unix

package tlsorigin

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// peek fills p with what conn has received and was not read, and returns how much that is. It neither waits
// nor takes anything. It returns 0 for a connection without descriptor.
func peek(conn net.Conn, p []byte) (n int) {
	raw := descriptor(conn)
	if raw == nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return max(n, 0)
}

// readDescriptor reads from a descriptor that does not block; EAGAIN means that there is nothing.
func readDescriptor(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
