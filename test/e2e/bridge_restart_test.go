package e2e

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// A bridge answers the server itself. So the server may be restarted at any point of a login, and the client does
// not notice.
func TestBridgeThroughRestarts(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { postgres.Stop() }()
	origin := startOrigin(t, postgres.Addr, bridgeMode, "PGORIGIN_UPSTREAM_WAIT=30s", "PGORIGIN_LOG_LEVEL=warn")
	var logins sync.WaitGroup
	var served, failed atomic.Int64
	until, stop := context.WithCancel(ctx)
	for range 16 {
		logins.Go(func() {
			for until.Err() == nil {
				conn, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
				if err != nil {
					failed.Add(1)
					t.Errorf("log in: %v", err)
					return
				}
				served.Add(1)
				_ = conn.Close(ctx) // the server may be gone
			}
		})
	}
	for range 3 {
		before := served.Load()
		for served.Load() < before+100 && failed.Load() == 0 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		postgres.Stop()
		if err := postgres.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	logins.Wait()
	t.Logf("%d logins", served.Load())
}
