package e2e

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
)

var hostileClients = flag.Int("hostile", 800, "how many clients TestHostileClients plays; each valid startup among them costs a handshake")

// Clients that mean no good leave nothing behind, and psql gets through all the while.
func TestHostileClients(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute+time.Duration(*hostileClients)*50*time.Millisecond)
	defer stop()
	origin := startOrigin(t, shared.bouncer.Addr, "PGORIGIN_LOG_LEVEL=error")
	if code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT 1"); code != 0 {
		t.Fatalf("psql ended with %d and printed %q", code, out)
	}
	before := resources(ctx, t, origin)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)

	var attackers sync.WaitGroup
	for worker := range 20 {
		attackers.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for range *hostileClients / 20 {
				attack(t, origin.Addr, random)
			}
		})
	}
	var attacked, failed int
	done := make(chan struct{})
	go func() { defer close(done); attackers.Wait() }()
	for over := false; !over; attacked++ {
		select {
		case <-done:
			over = true
		default:
		}
		if code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT 1"); code != 0 {
			failed++
			t.Errorf("under attack psql ended with %d and printed %q", code, out)
		}
	}
	t.Logf("psql ran %d times meanwhile, %d failed", attacked, failed)

	err := servers.Poll(ctx, func() error {
		after := resources(ctx, t, origin)
		for name, was := range before {
			slack := 5.0
			if name == "go_memstats_heap_inuse_bytes" {
				slack = 16 << 20
			}
			if after[name] > was+slack {
				return fmt.Errorf("%s was %.0f and is %.0f", name, was, after[name])
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// attack sends one startup that is random, mutated, cut or followed by too
// much, and leaves in one of the ways in which a client can leave.
func attack(t *testing.T, addr string, random *rand.Rand) {
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Errorf("connect: %v", err)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(hostileStartup(random)); err != nil {
		return
	}
	switch random.IntN(4) {
	case 0: // at once
	case 1:
		_ = conn.(*net.TCPConn).SetLinger(0)
	case 2:
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<16))
	case 3: // waits to be thrown out, or for what comes in half a second
		_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<16))
	}
}

func hostileStartup(random *rand.Rand) []byte {
	seeds := [][]byte{
		pgtest.Startup("user", servers.User, "database", servers.Database),
		pgtest.StartupVersion(3, uint16(random.IntN(1<<16)), "user", "nobody", "_pq_.x", "1"),
		pgtest.SSLRequest(), pgtest.GSSENCRequest(), pgtest.CancelRequest("pid4key4"),
		pgtest.CancelRequest("pid4" + strings.Repeat("k", random.IntN(300))),
		[]byte("GET / HTTP/1.1\r\n\r\n"), []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc"),
	}
	var b []byte
	for range 1 + random.IntN(3) {
		b = append(b, seeds[random.IntN(len(seeds))]...)
	}
	for range random.IntN(4) {
		b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
	}
	if random.IntN(3) == 0 {
		b = b[:random.IntN(len(b))]
	}
	return b
}

// resources reads what must not grow from pgorigin's own metrics.
func resources(ctx context.Context, t *testing.T, origin *servers.Origin) map[string]float64 {
	t.Helper()
	_, body, err := origin.Get(ctx, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "go_goroutines", "process_open_fds", "go_memstats_heap_inuse_bytes", `pgorigin_sessions_open{origin="default"}`:
			if found[name], err = strconv.ParseFloat(value, 64); err != nil {
				t.Fatalf("read metric %s: %v", line, err)
			}
		}
	}
	if len(found) != 4 {
		t.Fatalf("found only %v", found)
	}
	return found
}
