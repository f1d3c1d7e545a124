package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/test/servers"
)

// Names of the two upstreams, as the tables have them.
const (
	viaPgBouncer = "pgbouncer"
	viaPostgres  = "PostgreSQL"
)

// md5User logs in without SCRAM. PostgreSQL offers SCRAM-SHA-256-PLUS over TLS, which libpq refuses on the plaintext
// connection to a tunnel that does not know the protocol: stunnel and the naive relay serve nobody else.
const md5User = "old"

// stage is what every figure plays on: the servers, and the programs that stand between them and the clients.
type stage struct {
	lab       *servers.Lab
	postgres  *servers.Postgres
	upstreams map[string]string // addresses by the names above
	accounts  map[string]string // of every pgbouncer: SCRAM secrets and passwords
	origins   []origin
	naive     string // path of the naive relay
	hold      string // path of the program that holds sessions
	bulkFile  string // what COPY in sends
	rows      []row
	quick     bool
}

// origin is one build of pgorigin.
type origin struct{ label, path string }

// hba is PostgreSQL's pg_hba.conf: TLS only, and nobody without a password but pgbouncer through the Unix socket.
const hba = "local all all trust\nhostssl all " + md5User + " 127.0.0.1/32 md5\nhostssl all all 127.0.0.1/32 scram-sha-256\n"

// tables are what the figures read and write. A row of bulk is 256 bytes of text, so that a COPY costs the server little
// and a pooler, which looks at each message, neither little nor much.
const tables = `
SET password_encryption = 'md5';
CREATE ROLE ` + md5User + ` LOGIN PASSWORD '` + servers.Password + `' IN ROLE app;
SET ROLE app;
CREATE UNLOGGED TABLE bulk (line text);
INSERT INTO bulk SELECT repeat(md5(n::text), 8) FROM generate_series(1, %d) n;
ANALYZE bulk;
`

func newStage(ctx context.Context, lab *servers.Lab, o options) (*stage, error) {
	s := &stage{lab: lab, origins: o.origins, quick: o.quick}
	hbaFile := filepath.Join(lab.Dir(), "pg_hba.conf")
	if err := os.WriteFile(hbaFile, []byte(hba), 0o644); err != nil {
		return nil, fmt.Errorf("configure PostgreSQL: %w", err)
	}
	var err error
	if s.postgres, err = lab.Postgres(ctx, servers.PostgresOptions{Settings: []string{
		"hba_file = '" + hbaFile + "'", "log_connections = off", "shared_buffers = 512MB", "max_wal_size = 8GB", "autovacuum = off",
	}}); err != nil {
		return nil, err
	}
	if err := s.fill(ctx); err != nil {
		return nil, err
	}
	// A pgbouncer that is given the password itself hashes it anew for each login; one that is given what PostgreSQL has
	// does not, and says the same salt each time, as PostgreSQL does.
	secret, err := s.postgres.Exec(ctx, "SELECT rolpassword FROM pg_authid WHERE rolname = '"+servers.User+"'")
	if err != nil {
		return nil, err
	}
	s.accounts = map[string]string{servers.User: secret, md5User: servers.Password}
	bouncer, err := s.upstreamBouncer(ctx)
	if err != nil {
		return nil, err
	}
	s.upstreams = map[string]string{viaPgBouncer: bouncer.Addr, viaPostgres: s.postgres.Addr}
	if err := s.build(ctx); err != nil {
		return nil, err
	}
	s.rows = s.allRows(ctx)
	if len(o.rows) > 0 {
		s.rows = slices.DeleteFunc(s.rows, func(r row) bool { return !slices.Contains(o.rows, strings.Split(r.name, ", ")[0]) })
	}
	return s, s.writeBulkFile(ctx)
}

// fill makes the tables of pgbench and of the bulk figures.
func (s *stage) fill(ctx context.Context) error {
	scale := "10"
	if s.quick {
		scale = "1"
	}
	if _, err := s.postgres.Exec(ctx, fmt.Sprintf(tables, s.bulkRows())); err != nil {
		return err
	}
	out, err := s.lab.Pgbench(ctx, s.directDSN(s.postgres.Addr), "-i", "-q", "--unlogged-tables", "-s", scale).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fill the tables of pgbench: %w\n%s", err, out)
	}
	return nil
}

// bulkRows is how many rows bulk has: 129 MB, or 2.6 MB, as COPY sends it.
func (s *stage) bulkRows() int {
	if s.quick {
		return 10_000
	}
	return 500_000
}

// bulkBytes is what COPY of all rows of bulk sends, line ends included and message headers not.
func (s *stage) bulkBytes() float64 { return float64(s.bulkRows()) * 257 }

// upstreamBouncer starts what the issue is about: a pgbouncer that takes nothing but TLS, next to its PostgreSQL, which it
// reaches through the Unix socket. It pools by transaction and lets as many clients in as there are descriptors.
func (s *stage) upstreamBouncer(ctx context.Context) (*servers.PgBouncer, error) {
	_, port, _ := strings.Cut(s.postgres.Addr, ":")
	return s.lab.PgBouncer(ctx, s.postgres, servers.PgBouncerOptions{
		PoolMode: "transaction",
		Users:    s.accounts,
		Settings: []string{
			"auth_type = md5", // SCRAM for who has a SCRAM secret
			"verbose = 0", "log_connections = 0", "log_disconnections = 0", "max_client_conn = 30000", "default_pool_size = 64",
			"[databases]", "* = host=" + s.postgres.SocketDir() + " port=" + port,
		},
	})
}

// build compiles the naive relay and, unless other binaries were named, pgorigin as "make build" does.
func (s *stage) build(ctx context.Context) error {
	s.naive, s.hold = filepath.Join(s.lab.Dir(), "naive"), filepath.Join(s.lab.Dir(), "hold")
	programs := map[string]string{s.naive: "./bench/naive", s.hold: "./bench/hold"}
	if len(s.origins) == 0 {
		path := filepath.Join(s.lab.Dir(), "pgorigin")
		programs[path] = "./cmd/pgorigin"
		s.origins = []origin{{label: "pgorigin", path: path}}
	}
	for path, source := range programs {
		if err := s.lab.Compile(ctx, path, source, "-trimpath", "-ldflags", "-s -w -X main.version=bench"); err != nil {
			return err
		}
	}
	return nil
}

// directDSN is for a client that does TLS itself.
func (s *stage) directDSN(addr string, options ...string) string {
	_, port, _ := strings.Cut(addr, ":")
	tls := []string{
		"host=" + servers.ServerName, "hostaddr=127.0.0.1", "port=" + port, "sslmode=verify-full", "sslrootcert=" + s.lab.CAFile,
	}
	return servers.DSN(addr, append(tls, options...)...)
}
