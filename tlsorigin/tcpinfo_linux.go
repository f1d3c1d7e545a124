package tlsorigin

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// smallSegment is what every path carries, tunnels inside tunnels included (IPv6 promises 1280 bytes per packet).
const smallSegment = 1200

// shrinkSegments makes a connection that is about to be opened send, and ask for, segments of smallSegment bytes.
func shrinkSegments(conn syscall.RawConn) {
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, smallSegment)
	})
}

// packetsLost reports whether what conn has sent last was repeated and has still not been acknowledged, or has not even
// left: that is how it looks when packets are dropped for their size, on the way or by the other end of a container's
// own link. A connection without descriptor is one that nobody knows that of.
func packetsLost(conn net.Conn) bool {
	raw := descriptor(conn)
	if raw == nil {
		return false
	}
	lost := false
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		lost = err == nil && (info.Notsent_bytes > 0 || info.Unacked > 0 && info.Total_retrans > 0)
	})
	return lost
}
