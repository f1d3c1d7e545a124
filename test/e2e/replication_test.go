package e2e

import (
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// A replication connection is a session like any other: its startup packet has
// one parameter more, and its messages are none of pgorigin's business.
func TestReplicationConnection(t *testing.T) {
	ctx := testContext(t)
	pg, err := shared.lab.Postgres(ctx, servers.PostgresOptions{Settings: []string{"wal_level = logical"}})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Stop()
	if _, err := pg.Exec(ctx, "ALTER ROLE app REPLICATION"); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"strip", "bridge"} {
		origin := startOrigin(t, pg.Addr, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode)
		code, out := psql(ctx, t, servers.DSN(origin.Addr, "replication=database"), "IDENTIFY_SYSTEM",
			"CREATE_REPLICATION_SLOT probe TEMPORARY LOGICAL test_decoding")
		if code != 0 || !strings.Contains(out, "|app\n") || !strings.Contains(out, "|test_decoding\n") {
			t.Errorf("%s: psql ended with %d and printed %q", mode, code, out)
		}
	}
}
