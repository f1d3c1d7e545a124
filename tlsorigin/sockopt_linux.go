package tlsorigin

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// controlSocket ends a connection whose sent bytes stay unacknowledged for userTimeout: keep-alive probes are not sent
// while data are in flight, and retransmission alone gives up only after a quarter of an hour.
func controlSocket(_, _ string, conn syscall.RawConn) error {
	// Without the option the connection still works, so a kernel that refuses it is no reason to fail.
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
}
