package pgwire

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

const tcpClose = 7 // TCP_CLOSE of linux/tcp.h: reset, or ended on both sides

// undelivered reports whether a living peer has not acknowledged all that was
// written to conn. A Unix socket keeps for its reader what was written before a close.
func undelivered(conn net.Conn) (left bool) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		left = err == nil && info.State != tcpClose && (info.Unacked > 0 || info.Notsent_bytes > 0)
	})
	return left
}
