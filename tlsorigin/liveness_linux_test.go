package tlsorigin

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestSocketOptions(t *testing.T) {
	ln := peertest.Listen(t, "127.0.0.1")
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
		unix.TCP_USER_TIMEOUT: 0, // it ends a session whose server lives and does not read
		unix.TCP_KEEPIDLE:     int(keepAliveIdle.Seconds()),
		unix.TCP_KEEPINTVL:    int(keepAliveInterval.Seconds()),
		unix.TCP_KEEPCNT:      keepAliveCount,
	} {
		_ = raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, name); err != nil || got != want {
				t.Errorf("option %d is %d (%v), want %d", name, got, err, want)
			}
		})
	}
}

// watched returns a connection whose peer has at most limit to acknowledge something. The peer reads only
// what release lets it read. Vanish makes its machine vanish: no packet is answered any more.
func watched(t *testing.T, limit time.Duration) (conn *Conn, vanish, release func()) {
	t.Helper()
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	far, reading := make(chan *net.TCPConn, 1), make(chan struct{})
	p := peertest.Start(t, func(conn net.Conn) {
		if server := tls.Server(conn, config); peertest.Answer(conn, "S") && server.Handshake() == nil {
			far <- conn.(*peertest.Recorder).Conn.(*net.TCPConn)
			<-reading
			_, _ = io.Copy(io.Discard, server)
			_ = server.Close()
		}
	})
	d := newTestDialer(t, ca, nil, p.Addr)
	d.liveness.limit, d.liveness.period = limit, limit/10
	dialled, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, peer := dialled, <-far
	release = sync.OnceFunc(func() { close(reading) })
	t.Cleanup(func() { conn.Close(); peer.Close(); release() })
	vanish = func() {
		drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
		control(t, peer, func(fd int) error {
			return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
		})
	}
	return conn, vanish, release
}

func control(t *testing.T, conn net.Conn, do func(fd int) error) {
	t.Helper()
	var err error
	if closed := descriptor(conn).Control(func(fd uintptr) { err = do(int(fd)) }); closed != nil || err != nil {
		t.Fatal(closed, err)
	}
}

// A machine that vanishes is noticed, whatever the connection was about.
func TestVanishedPeer(t *testing.T) {
	tests := map[string]func(t *testing.T, conn *Conn, vanish func()){
		"idle": func(t *testing.T, conn *Conn, vanish func()) {
			for option, value := range map[int]int{unix.TCP_KEEPIDLE: 1, unix.TCP_KEEPINTVL: 1, unix.TCP_KEEPCNT: 2} {
				control(t, conn.Socket(), func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, option, value) })
			}
			vanish()
		},
		"sending": func(_ *testing.T, conn *Conn, vanish func()) {
			vanish()
			_, _ = io.WriteString(conn, "select 1")
		},
		"behind a shut window": func(_ *testing.T, conn *Conn, vanish func()) {
			go fillWindow(conn)
			time.Sleep(100 * time.Millisecond) // with whatever is under way
			vanish()
		},
		"half-closed": func(_ *testing.T, conn *Conn, vanish func()) {
			vanish()
			_ = conn.CloseWrite()
		},
	}
	for name, play := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, vanish, _ := watched(t, 500*time.Millisecond)
			play(t, conn, vanish)
			_, err := conn.Read(make([]byte, 1))
			checkLoss(t, err, ReasonUpstreamLost, "acknowledged nothing")
			if !errors.Is(err, syscall.ETIMEDOUT) {
				t.Errorf("the cause is %v", errors.Unwrap(err))
			}
		})
	}
}

// It is noticed where nothing waits, too.
func TestVanishedPeerWithoutWaiting(t *testing.T) {
	t.Parallel()
	conn, vanish, _ := watched(t, 500*time.Millisecond)
	socket := newSluggish(conn.Socket(), 1<<20)
	conn.SetNonBlocking(socket)
	vanish()
	flushed, err := conn.TryWrite([]byte("select 1"))
	for !flushed && err == nil {
		flushed, err = conn.TryFlush()
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = socket.readAll(conn)
	checkLoss(t, err, ReasonUpstreamLost, "acknowledged nothing")
}

// fillWindow writes until conn takes no more.
func fillWindow(conn *Conn) {
	for p := make([]byte, 64<<10); ; {
		if _, err := conn.Write(p); err != nil {
			return
		}
	}
}

// A peer that answers and does not read lives, however long its window stays shut.
func TestShutWindowIsNoDeath(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second // Linux may answer only one window probe in half a second
	conn, _, release := watched(t, limit)
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, 32<<20)) // more than two socket buffers
		written <- err
	}()
	select {
	case err := <-written:
		t.Fatalf("the window did not shut: %v", err)
	case <-time.After(4 * limit):
	}
	release()
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// Evidence, and how it is judged.
func TestAckDebt(t *testing.T) {
	const limit = 30 * time.Second
	type moment struct {
		at time.Duration
		vitals
		dead bool
	}
	tests := map[string][]moment{
		"nothing under way":         {{0, vitals{lastAck: time.Hour}, false}, {time.Hour, vitals{lastAck: 2 * time.Hour}, false}},
		"written after a long rest": {{0, vitals{true, time.Hour, 0}, false}, {29 * time.Second, vitals{true, time.Hour, 7}, false}, {limit, vitals{true, time.Hour, 7}, true}},
		"acknowledges now and then": {{0, vitals{true, 0, 0}, false}, {time.Minute, vitals{true, 29 * time.Second, 5}, false}},
		"answers window probes":     {{0, vitals{true, 0, 0}, false}, {time.Hour, vitals{true, 119 * time.Second, 0}, false}},
		"one packet was lost":       {{0, vitals{true, 0, 0}, false}, {time.Minute, vitals{true, time.Minute, 1}, false}},
		"a debt that was paid":      {{0, vitals{true, 0, 0}, false}, {time.Minute, vitals{lastAck: time.Minute}, false}, {2 * time.Minute, vitals{true, 2 * time.Minute, 2}, false}},
	}
	for name, moments := range tests {
		var debt ackDebt
		for _, m := range moments {
			if dead := debt.dead(m.vitals, time.Unix(0, 0).Add(m.at), limit); dead != m.dead {
				t.Errorf("%s, after %v: dead is %t", name, m.at, dead)
			}
		}
	}
}

// Nothing is looked at, and no clock runs, while nothing is under way.
func TestIdleConnectionsAreNotWatched(t *testing.T) {
	conn, _, release := watched(t, 200*time.Millisecond)
	release()
	l := conn.wire.liveness
	for {
		l.mu.Lock()
		left := len(l.wires)
		l.mu.Unlock()
		if left == 0 && !conn.wire.watched.Load() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
