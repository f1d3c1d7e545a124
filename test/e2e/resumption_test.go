package e2e

import (
	"context"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// pgbouncer hands out tickets, PostgreSQL does not.
func TestResumption(t *testing.T) {
	for _, row := range []struct {
		name, upstream string
		env            []string
		want           bool
	}{
		{"pgbouncer", shared.bouncer.Addr, nil, true},
		{"pgbouncer, bridged", shared.bouncer.Addr, []string{bridgeMode}, true},
		{"pgbouncer, turned off", shared.bouncer.Addr, []string{"PGORIGIN_TLS_RESUME_FOR=0"}, false},
		{"PostgreSQL", shared.postgres.Addr, nil, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx := testContext(t)
			origin := startOrigin(t, row.upstream, row.env...)
			for i := range 4 {
				logInOnce(ctx, t, origin)
				if got := snapshot(ctx, t, origin).Verified.Resumed; got != (row.want && i > 0) {
					t.Errorf("connection %d: resumed is %v", i, got)
				}
			}
		})
	}
}

// A certificate that pgbouncer gets while it runs is seen by the next connection, sessions or not, and costs none.
func TestResumptionAndANewCertificate(t *testing.T) {
	ctx := testContext(t)
	bouncer, err := shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bouncer.Stop)
	origin := startOrigin(t, bouncer.Addr)
	for range 2 {
		logInOnce(ctx, t, origin)
	}
	before := snapshot(ctx, t, origin).Verified
	if !before.Resumed {
		t.Fatal("nothing is resumed")
	}
	if err := bouncer.Present(ctx, shared.lab.ServerCertificate(tlstest.P384)); err != nil {
		t.Fatal(err)
	}
	logInOnce(ctx, t, origin)
	after := snapshot(ctx, t, origin).Verified
	leaf := after.Chain[len(after.Chain)-1]
	if after.Resumed || leaf.Key != "ECDSA P-384" || leaf.SHA256 == before.Chain[len(before.Chain)-1].SHA256 {
		t.Errorf("resumed is %v, the certificate is %+v", after.Resumed, leaf)
	}
}

// logInOnce is one connection, which is at its end when it returns.
func logInOnce(ctx context.Context, t *testing.T, origin *servers.Origin) {
	t.Helper()
	if code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT 1"); code != 0 {
		t.Fatalf("psql ended with %d and printed %q", code, out)
	}
}
