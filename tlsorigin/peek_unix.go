//go:build unix

package tlsorigin

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// pendingInput reports whether conn has received bytes that were not read. It neither waits nor takes them.
// It returns false for a connection without descriptor.
func pendingInput(conn net.Conn) bool {
	raw := descriptor(conn)
	if raw == nil {
		return false
	}
	pending := false
	_ = raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		pending = err == nil && n > 0
	})
	return pending
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
