//go:build drivers

package drivers

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// An account with letters beyond ASCII in every name, on every server. SASLprep leaves this password as it is, so that
// drivers that leave it out can log in, too.
const (
	otherUser     = "žofie"
	otherPassword = "grüße-naïve-1f"
	otherDatabase = "données"
)

// upstream is a server that demands TLS and SCRAM.
type upstream struct {
	name    string
	version string
	addr    string
	refusal string // its words for a wrong password
	restart func(context.Context) error
}

// upstreams starts them; the pgbouncer has a PostgreSQL of its own.
func (s *suite) upstreams(ctx context.Context, t *testing.T) []*upstream {
	t.Helper()
	behind := s.postgres(ctx, t, "")
	bouncer, err := s.lab.PgBouncer(ctx, behind, servers.PgBouncerOptions{Users: map[string]string{otherUser: otherPassword}})
	if err != nil {
		t.Fatal(err)
	}
	pgbouncer := &upstream{
		name: "pgbouncer", addr: bouncer.Addr, refusal: "SASL authentication failed",
		version: pgbouncerVersion(ctx, t) + " in front of " + postgresVersion(ctx, t, behind),
		restart: func(ctx context.Context) error {
			bouncer.Stop()
			return bouncer.Start(ctx)
		},
	}
	return []*upstream{
		pgbouncer,
		postgresUpstream(ctx, t, s.postgres(ctx, t, "")),
		postgresUpstream(ctx, t, s.postgres(ctx, t, s.postgres18("bin"))),
	}
}

func (s *suite) postgres(ctx context.Context, t *testing.T, binDir string) *servers.Postgres {
	t.Helper()
	pg, err := s.lab.Postgres(ctx, servers.PostgresOptions{BinDir: binDir})
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD '%s'", otherUser, otherPassword),
		fmt.Sprintf("CREATE DATABASE %q OWNER %[2]q", otherDatabase, otherUser),
	} {
		if _, err := pg.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	return pg
}

func postgresUpstream(ctx context.Context, t *testing.T, pg *servers.Postgres) *upstream {
	version := postgresVersion(ctx, t, pg)
	major, _, _ := strings.Cut(version, ".")
	return &upstream{
		name: major, version: version, addr: pg.Addr, refusal: `password authentication failed for user "app"`,
		restart: func(ctx context.Context) error {
			pg.Stop()
			return pg.Start(ctx)
		},
	}
}

func postgresVersion(ctx context.Context, t *testing.T, pg *servers.Postgres) string {
	t.Helper()
	version, err := pg.Exec(ctx, "SHOW server_version")
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ = strings.Cut(version, " ") // the package's own version follows
	return "PostgreSQL " + version
}

func pgbouncerVersion(ctx context.Context, t *testing.T) string {
	t.Helper()
	command := exec.CommandContext(ctx, "/bin/sh", "-c", "PATH=$PATH:/usr/sbin pgbouncer --version")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("ask pgbouncer for its version: %v", err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.Replace(first, "PgBouncer", "pgbouncer", 1)
}
