package tlsorigin

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketsGiveUpUnacknowledgedData(t *testing.T) {
	ln := listen(t, "127.0.0.1")
	defer ln.Close()
	conn, err := newNetDialer().DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[int]int{
		unix.TCP_USER_TIMEOUT: int(userTimeout.Milliseconds()),
		unix.TCP_KEEPIDLE:     int(keepAlivePeriod.Seconds()),
		unix.TCP_KEEPINTVL:    int(keepAlivePeriod.Seconds()),
		unix.TCP_KEEPCNT:      keepAliveCount,
	} {
		_ = raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, name); err != nil || got != want {
				t.Errorf("option %d is %d (%v), want %d", name, got, err, want)
			}
		})
	}
}
