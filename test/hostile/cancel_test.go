//go:build hostile

package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// cancelOnce logs in by pgx, cancels a query while it runs, and returns how the query ended.
func cancelOnce(ctx context.Context, addr string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, servers.DSN(addr))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = conn.PgConn().CancelRequest(ctx)
	}()
	_, err = conn.Exec(ctx, "SELECT pg_sleep(15)")
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code, nil
	}
	return "", err
}

// TestInventedCancelKeys: somebody on loopback wants a connection to the upstream for each cancel key that it invents,
// and logins and real cancels to wait behind them.
func TestInventedCancelKeys(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	slow := newSlowUpstream(t)
	p := startProcess(t, nil, slow.addr, nil, "PGORIGIN_MAX_SESSIONS=1", "PGORIGIN_DIAL_TIMEOUT=10s")
	p.awaitReady(t)
	for i := range 300 {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "\x00\x00\x00\x10\x04\xd2\x16\x2e%08d", i)
	}
	time.Sleep(2 * time.Second)
	if seen := slow.seen.Load(); seen > 40 {
		t.Errorf("300 invented keys opened %d upstream connections", seen)
	}

	// The same flood in front of PostgreSQL, beside a real cancel.
	origin := startOrigin(t, shared.postgres.Addr)
	stop := make(chan struct{})
	var flood sync.WaitGroup
	defer flood.Wait()
	defer close(stop)
	for worker := range 4 {
		flood.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if conn, err := net.Dial("tcp", origin.Addr); err == nil {
					_, _ = fmt.Fprintf(conn, "\x00\x00\x00\x10\x04\xd2\x16\x2e%02d%06d", worker, i)
					_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					_, _ = conn.Read(make([]byte, 1))
					_ = conn.Close()
				}
			}
		})
	}
	for range 5 {
		code, err := cancelOnce(ctx, origin.Addr)
		if code != "57014" {
			t.Errorf("beside the flood a cancel ended with %q (%v), want 57014", code, err)
		}
	}
}
