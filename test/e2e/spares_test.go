package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Series that are about warm spares.
const (
	sparesReady = `pgorigin_warm_spares_ready{origin="default"}`
	spareHits   = `pgorigin_warm_spare_checkouts_total{origin="default",result="hit"}`
	spareMisses = `pgorigin_warm_spare_checkouts_total{origin="default",result="miss"}`
	spareDuds   = `pgorigin_warm_spare_checkouts_total{origin="default",result="dead"}`
)

func sparesDiscarded(cause string) string {
	return `pgorigin_warm_spares_discarded_total{cause="` + cause + `",origin="default"}`
}

// series returns the value of a series of pgorigin's metrics.
func series(ctx context.Context, origin *servers.Origin, name string) (float64, error) {
	_, body, err := origin.Get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.New("/metrics has no " + name)
}

// awaitSeries waits until a series has a value of at least that.
func awaitSeries(ctx context.Context, t *testing.T, origin *servers.Origin, name string, least float64) {
	t.Helper()
	if err := servers.Poll(ctx, func() error {
		got, err := series(ctx, origin, name)
		if err == nil && got < least {
			err = fmt.Errorf("%s is %v, want %v", name, got, least)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// expectSeries fails unless a series has that value.
func expectSeries(ctx context.Context, t *testing.T, origin *servers.Origin, name string, want float64) {
	t.Helper()
	if got, err := series(ctx, origin, name); err != nil || got != want {
		t.Errorf("%s is %v (%v), want %v", name, got, err, want)
	}
}

// login logs in, asks something and leaves.
func login(ctx context.Context, addr string) error {
	conn, err := pgx.Connect(ctx, servers.DSN(addr))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT 1")
	return errors.Join(err, conn.Close(ctx))
}

func TestSparesAreUsed(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		for i := range 3 {
			awaitSeries(ctx, t, origin, sparesReady, 2)
			conn := connect(ctx, t, origin.Addr)
			mustExec(ctx, t, conn, "SELECT 1")
			expectSeries(ctx, t, origin, spareHits, float64(i+1))
			awaitSeries(ctx, t, origin, sparesReady, 2)
			cancel(ctx, t, conn) // never by a spare
			expectSeries(ctx, t, origin, spareHits, float64(i+1))
		}
		expectSeries(ctx, t, origin, spareMisses, 0)
		expectSeries(ctx, t, origin, spareDuds, 0)
	}, "PGORIGIN_WARM_SPARES=2")
}

// A spare saves the client the handshake; its login is what it is without.
func TestSparesWithEveryLogin(t *testing.T) {
	for _, binding := range []string{"strip", "bridge"} {
		t.Run(binding, func(t *testing.T) {
			eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
				awaitSeries(ctx, t, origin, sparesReady, 1)
				if code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT 'in'"); code != 0 || !strings.Contains(out, "in") {
					t.Errorf("psql ended with %d: %s", code, out)
				}
				awaitSeries(ctx, t, origin, sparesReady, 1)
				if answer := refusal(ctx, t, origin.Addr, "password=wrong"); answer.Code != "28P01" && answer.Code != "08P01" {
					t.Errorf("a wrong password is refused by %s %s", answer.Code, answer.Message)
				}
				expectSeries(ctx, t, origin, spareHits, 2)
				expectSeries(ctx, t, origin, spareDuds, 0)
			}, "PGORIGIN_WARM_SPARES=1", "PGORIGIN_AUTH_CHANNEL_BINDING="+binding)
		})
	}
}

// What was verified under the old roots is not used under the new ones.
func TestReloadDropsSpares(t *testing.T) {
	ctx := testContext(t)
	roots := shared.lab.CA.PEM()
	file := writeFile(t, "ca.crt", roots)
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_WARM_SPARES=2", "PGORIGIN_TLS_CA_FILE="+file)
	awaitSeries(ctx, t, origin, sparesReady, 2)
	if err := os.WriteFile(file, append(roots, tlstest.NewCA("Another Root", tlstest.P256).PEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := origin.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitSeries(ctx, t, origin, sparesDiscarded("trust"), 2)
	awaitSeries(ctx, t, origin, sparesReady, 2)
	if err := login(ctx, origin.Addr); err != nil {
		t.Fatal(err)
	}
	expectSeries(ctx, t, origin, spareHits, 1)
}

// Spares take room in a pgbouncer that others need when it is full. Then they make way.
func TestSparesMakeRoom(t *testing.T) {
	ctx := testContext(t)
	const room = 4
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{Settings: []string{"max_client_conn = 4"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bouncer.Stop() })
	origin := startOrigin(t, bouncer.Addr, "PGORIGIN_WARM_SPARES=2")
	for range room {
		awaitSeries(ctx, t, origin, sparesReady, 2)
		connect(ctx, t, origin.Addr)
	}
	expectSeries(ctx, t, origin, spareHits, room)
	awaitSeries(ctx, t, origin, spareDuds, 1) // the last at least: three sessions and two spares were too many
	if answer := refusal(ctx, t, origin.Addr); !strings.Contains(answer.Message, "no more connections allowed") {
		t.Errorf("one client too many is told %s %s", answer.Code, answer.Message)
	}
}

// Spares end with the first signal, though sessions go on.
func TestDrainEndsSpares(t *testing.T) {
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_WARM_SPARES=2")
	awaitSeries(ctx, t, origin, sparesReady, 2)
	conn := connect(ctx, t, origin.Addr)
	awaitSeries(ctx, t, origin, sparesReady, 2)
	mustExec(ctx, t, conn, "BEGIN")
	if err := origin.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitSeries(ctx, t, origin, sparesDiscarded("closed"), 2)
	expectSeries(ctx, t, origin, sparesReady, 0)
	mustExec(ctx, t, conn, "COMMIT")
	_ = conn.Close(ctx)
	awaitExit(ctx, t, origin.Process, 0)
}
