package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// cancelsEach is how often each of two upstreams has a query cancelled.
const cancelsEach = 50

// Behind two upstream addresses a cancel request goes to the one that has the
// session: on the other its key is unknown, and the query would go on.
func TestCancelFindsItsUpstream(t *testing.T) {
	ctx := testContext(t)
	var upstreams [2]*servers.Postgres
	for i := range upstreams {
		pg, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer pg.Stop()
		upstreams[i] = pg
	}
	origin := startOrigin(t, upstreams[0].Addr+","+upstreams[1].Addr)
	// The first address is preferred; while it is away, sessions go to the second.
	upstreams[0].Stop()
	conns := [2]*pgx.Conn{1: connect(ctx, t, origin.Addr)}
	if err := upstreams[0].Start(ctx); err != nil {
		t.Fatal(err)
	}
	// It is preferred again as soon as a background probe has verified it. Only connections make probes.
	err := servers.Poll(ctx, func() error {
		if err := login(ctx, origin.Addr); err != nil {
			return err
		}
		if len(origin.Log.Lines("upstream address state", `"state":"good"`)) == 0 {
			return errors.New("the first address is not back")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	conns[0] = connect(ctx, t, origin.Addr)
	for i, conn := range conns {
		_, port, _ := strings.Cut(upstreams[i].Addr, ":")
		if got := fmt.Sprint(ask[int](ctx, t, conn, "SELECT inet_server_port()")); got != port {
			t.Fatalf("session %d is on port %s, want %s", i, got, port)
		}
	}
	for n := range 2 * cancelsEach {
		conn := conns[n%2]
		running := make(chan error, 1)
		// The lock tells when the query runs, without asking the server again and again.
		ask[bool](ctx, t, conn, "SELECT pg_advisory_lock(1) IS NULL")
		go func() {
			_, err := conn.Exec(ctx, "SELECT pg_advisory_unlock(1), pg_sleep(600)")
			running <- err
		}()
		if _, err := upstreams[n%2].Exec(ctx, "SELECT pg_advisory_lock(1)"); err != nil {
			t.Fatal(err)
		}
		cancel(ctx, t, conn)
		if state := sqlState(t, <-running); state != "57014" {
			t.Fatalf("query %d ended with %q", n, state)
		}
	}
}
