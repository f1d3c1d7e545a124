package tlsorigin

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tcpRTOMaxMS = 44 // TCP_RTO_MAX_MS of linux/tcp.h, since 6.15
	// maxRTO is the longest pause between repetitions and between window probes. By default both back off to
	// two minutes, and so long it may take to ask a peer behind a shut window whether it is there.
	maxRTO = 10 * time.Second
)

// controlSocket sets how often a peer is asked. A kernel that does not know the option is no reason to fail.
func controlSocket(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpRTOMaxMS, int(maxRTO.Milliseconds()))
	})
}

// readVitals asks the kernel.
func readVitals(conn syscall.RawConn) (v vitals, err error) {
	closed := conn.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			v = vitals{
				unacknowledged: info.Unacked > 0 || info.Notsent_bytes > 0,
				lastAck:        time.Duration(info.Last_ack_recv) * time.Millisecond,
				unanswered:     int(info.Retransmits) + int(info.Probes),
			}
		}
	})
	return v, errors.Join(closed, err)
}

// shutDown makes every read and write of a connection end, after what has arrived.
func shutDown(conn syscall.RawConn) {
	_ = conn.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}
