package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// established counts the connections that the other side has not closed, as the kernel sees it at this moment: a relay
// hears of an end later.
func established(conns []*net.TCPConn) (n int) {
	const tcpEstablished = 1
	for _, conn := range conns {
		raw, err := conn.SyscallConn()
		if err != nil {
			continue // closed here
		}
		_ = raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.State == tcpEstablished {
				n++
			}
		})
	}
	return n
}

// However spares come to an end, there are never more of them than were asked for.
func TestNeverMoreSparesThanConfigured(t *testing.T) {
	const spares = 3
	ctx := testContext(t)
	g := startGate(t, shared.bouncer.Addr)
	var most, accepted atomic.Int32
	g.watch(func(open []*net.TCPConn) {
		accepted.Add(1)
		most.Store(max(most.Load(), int32(established(open))))
	})
	roots := shared.lab.CA.PEM()
	file := writeFile(t, "ca.crt", roots)
	origin := startOrigin(t, g.addr, "PGORIGIN_WARM_SPARES=3", "PGORIGIN_TLS_CA_FILE="+file)
	rounds := []func(){
		func() { g.cut() },
		func() {
			roots = append(roots, tlstest.NewCA("Another Root", tlstest.P256).PEM()...)
			if err := os.WriteFile(file, roots, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := origin.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		},
	}
	for range 3 {
		for _, end := range rounds {
			awaitSeries(ctx, t, origin, sparesReady, spares)
			before := accepted.Load()
			end()
			awaitMore(ctx, t, &accepted, before+spares)
		}
	}
	awaitSeries(ctx, t, origin, sparesReady, spares)
	if n := most.Load(); n != spares {
		t.Errorf("%d connections were open at one time, want %d", n, spares)
	}
	// With clients it is one more for each.
	if err := login(ctx, origin.Addr); err != nil {
		t.Fatal(err)
	}
	awaitSeries(ctx, t, origin, sparesReady, spares)
	if n := most.Load(); n > spares+1 {
		t.Errorf("%d connections were open at one time, want %d and a client's", n, spares)
	}
}

func awaitMore(ctx context.Context, t *testing.T, count *atomic.Int32, least int32) {
	t.Helper()
	if err := servers.Poll(ctx, func() error {
		if n := count.Load(); n < least {
			return fmt.Errorf("%d connections so far, want %d", n, least)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
