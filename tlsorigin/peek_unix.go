//go:build unix

package tlsorigin

import (
	"net"
	"syscall"
)

// pendingInput reports whether conn has received bytes that nobody has read, without waiting and without taking them.
// It knows nothing about a connection that has no descriptor, and says false.
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
