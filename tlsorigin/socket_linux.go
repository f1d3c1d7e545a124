package tlsorigin

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tcpRTOMaxMS = 44 // TCP_RTO_MAX_MS of linux/tcp.h, since 6.15
	// maxRTO is the longest pause between repetitions and between window probes. By default both back off to
	// two minutes. A peer with a closed window would be asked that seldom.
	maxRTO = 10 * time.Second
	// smallSegment passes every path, tunnels inside tunnels included. IPv6 promises 1280 bytes per packet.
	smallSegment = 1200
)

// controlSocket sets how often a peer is asked. A kernel that does not know the option is no reason to fail.
func controlSocket(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpRTOMaxMS, int(maxRTO.Milliseconds()))
	})
}

// shrinkSegments makes a connection that is about to be opened send, and ask for, segments of smallSegment
// bytes.
func shrinkSegments(conn syscall.RawConn) {
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, smallSegment)
	})
}

// tcpInfo asks the kernel about a connection.
func tcpInfo(conn syscall.RawConn) (info *unix.TCPInfo, err error) {
	closed := conn.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	return info, errors.Join(closed, err)
}

// readVitals returns what the kernel knows about the peer.
func readVitals(conn syscall.RawConn) (vitals, error) {
	info, err := tcpInfo(conn)
	if err != nil {
		return vitals{}, err
	}
	return vitals{
		unacknowledged: info.Unacked > 0 || info.Notsent_bytes > 0,
		lastAck:        time.Duration(info.Last_ack_recv) * time.Millisecond,
		unanswered:     int(info.Retransmits) + int(info.Probes),
	}, nil
}

// packetsLost reports whether what conn sent last was repeated and is still not acknowledged, or has not even
// left. So it looks when packets are dropped for their size. It returns false for a connection without
// descriptor.
func packetsLost(conn net.Conn) bool {
	raw := descriptor(conn)
	if raw == nil {
		return false
	}
	info, err := tcpInfo(raw)
	return err == nil && (info.Notsent_bytes > 0 || info.Unacked > 0 && info.Total_retrans > 0)
}

// shutDown makes every read and write of a connection end, after what has arrived.
func shutDown(conn syscall.RawConn) {
	_ = conn.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}
