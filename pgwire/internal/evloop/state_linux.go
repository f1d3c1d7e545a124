package evloop

import (
	"net"

	"golang.org/x/sys/unix"
)

const tcpClose = 7 // TCP_CLOSE of linux/tcp.h: reset, or ended on both sides

// HungUp reports whether the peer has ended its stream or broken the connection. There may be unread data
// before the end.
func HungUp(conn net.Conn) bool {
	return pollNow(conn, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// Undelivered reports whether a living peer has not acknowledged everything that was written to conn. A Unix
// socket keeps for its reader what was written before a close.
func Undelivered(conn net.Conn) (left bool) {
	withDescriptor(conn, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		left = err == nil && info.State != tcpClose && (info.Unacked > 0 || info.Notsent_bytes > 0)
	})
	return left
}
