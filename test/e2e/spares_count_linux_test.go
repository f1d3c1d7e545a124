package e2e

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// established counts the clients of addr whose own end of the connection is open, by the kernel's table. The far end may
// hear of a close later on a busy machine. The table is no snapshot: while one connection takes the place of another, it
// may show both. So the least of several looks counts.
func established(t *testing.T, addr netip.AddrPort) int {
	t.Helper()
	remote, least := fmt.Sprintf(":%04X", addr.Port()), math.MaxInt
	for range 3 {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			t.Error(err)
		}
		n := 0
		for line := range strings.Lines(string(table)) {
			const tcpEstablished = "01"
			if field := strings.Fields(line); strings.HasSuffix(field[2], remote) && field[3] == tcpEstablished {
				n++
			}
		}
		least = min(least, n)
	}
	return least
}

// However spares come to an end, there are never more of them than were asked for.
func TestNeverMoreSparesThanConfigured(t *testing.T) {
	t.Parallel()
	const spares = 3
	ctx := testContext(t)
	g := startGate(t, shared.bouncer.Addr)
	addr := netip.MustParseAddrPort(g.addr)
	var most, accepted atomic.Int32
	g.watch(func() {
		accepted.Add(1)
		most.Store(max(most.Load(), int32(established(t, addr))))
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
