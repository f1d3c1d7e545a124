package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// startLimited starts a pgorigin that may have that many files open.
func startLimited(t *testing.T, files int, env ...string) *servers.Origin {
	t.Helper()
	script := filepath.Join(t.TempDir(), "limited")
	text := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", files, shared.binary)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	origin, err := shared.lab.Origin(testContext(t), script, shared.postgres.Addr, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { origin.Stop() })
	return origin
}

// expectWell fails unless the health endpoints answer.
func expectWell(ctx context.Context, t *testing.T, origin *servers.Origin, when string) {
	t.Helper()
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status, body, err := origin.Get(ctx, path); err != nil || status != http.StatusOK {
			t.Errorf("%s: %s answers %d %s, %v", when, path, status, body, err)
		}
	}
}

// At the limit of descriptors, full and in use, clients are told so, health endpoints answer, and sessions go on.
func TestDescriptorLimit(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	origin := startLimited(t, 64)
	var sessions []*pgx.Conn
	for {
		conn, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
		if err != nil {
			if sqlState(t, err) != "53300" || !strings.Contains(err.Error(), "the limit of 64 open files") {
				t.Fatalf("after %d sessions: %v", len(sessions), err)
			}
			break
		}
		defer func() { _ = conn.Close(ctx) }()
		sessions = append(sessions, conn)
	}
	if len(sessions) < 8 {
		t.Errorf("only %d sessions", len(sessions))
	}
	// Everybody who connects and says nothing takes a descriptor, until there is no room for more.
	for range 60 {
		silent, err := net.Dial("tcp", origin.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = silent.Close() }()
	}
	expectWell(ctx, t, origin, "with silent clients")
	refused := make(chan error)
	for range 20 {
		go func() {
			_, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
			refused <- err
		}()
	}
	for range 20 {
		if err := <-refused; err == nil || sqlState(t, err) != "53300" {
			t.Errorf("a client beyond the limit was told %v", err)
		}
	}
	for i, conn := range sessions {
		if one := ask[int](ctx, t, conn, "SELECT 1"); one != 1 {
			t.Errorf("session %d: 1 is %d", i, one)
		}
		cancel(ctx, t, conn)
	}
	expectWell(ctx, t, origin, "full and used")
	_ = sessions[0].Close(ctx)
	if err := servers.PollEvery(ctx, 100*time.Millisecond, func() error {
		conn, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
		if err == nil {
			_ = conn.Close(ctx)
		}
		return err
	}); err != nil {
		t.Errorf("there is no room again: %v", err)
	}
	expectSeries(ctx, t, origin, `pgorigin_accept_errors_total{origin="default"}`, 0)
}
