package servers_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// The end-to-end suite is worth only as much as its servers: they must refuse plaintext, and serve TLS to a client that
// verifies it.
func TestServersDemandTLS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lab, err := servers.NewLab(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	pg, err := lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bouncer, err := lab.PgBouncer(ctx, pg, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, upstream := range map[string]struct{ addr, refusal string }{
		"postgres":  {pg.Addr, "no encryption"},
		"pgbouncer": {bouncer.Addr, "SSL required"},
	} {
		out, err := lab.Psql(ctx, servers.DSN(upstream.addr), "-c", "select 1").CombinedOutput()
		if err == nil || !strings.Contains(string(out), upstream.refusal) {
			t.Errorf("%s without TLS: %v, %s; want a refusal with %q", name, err, out, upstream.refusal)
		}
		dsn := servers.DSN(upstream.addr, "sslmode=verify-full", "sslrootcert="+lab.CAFile)
		out, err = lab.Psql(ctx, dsn, "-Atc", "select current_user").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != servers.User {
			t.Errorf("%s with TLS: %v, %s", name, err, out)
		}
	}
	if _, err := bouncer.Log.AwaitLine(ctx, "login attempt", "tls=TLSv1.3"); err != nil {
		t.Error(err)
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lab, err := servers.NewLab(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pg, err := lab.Postgres(ctx, servers.PostgresOptions{NoTLS: true})
	if err := errors.Join(err, lab.Close()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pg.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("PostgreSQL is still there: %v", err)
	}
}
