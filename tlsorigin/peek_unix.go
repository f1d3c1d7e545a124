//go:build unix

package tlsorigin

import (
	"net"
	"syscall"
)

// pendingInput reports whether conn has received bytes that nobody has read, without waiting and without taking them.
// It knows nothing about a connection that has no descriptor, and says false.
func pendingInput(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	pending := false
	_ = raw.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		pending = err == nil && n > 0
	})
	return pending
}
