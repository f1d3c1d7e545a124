package servers

import (
	"context"
	"net"
	"os/exec"
	"strings"
)

// DSN is a connection string for addr, understood by libpq and pgx alike: the Lab's account, no TLS of its own.
// Later options win over earlier ones.
func DSN(addr string, options ...string) string {
	host, port, _ := net.SplitHostPort(addr) // an address without port makes a DSN that fails, with a clear error
	dsn := []string{
		"host=" + host, "port=" + port, "user=" + User, "password=" + Password, "dbname=" + Database,
		"sslmode=disable", "connect_timeout=30",
	}
	return strings.Join(append(dsn, options...), " ")
}

// Psql is a psql, not yet started, that reads no file and no variable of whoever runs this.
func (l *Lab) Psql(ctx context.Context, dsn string, args ...string) *exec.Cmd {
	return l.client(ctx, l.bin.psql, append([]string{"-X", "-w", "-d", dsn}, args...)...)
}

// Pgbench is a pgbench, not yet started, like Psql.
func (l *Lab) Pgbench(ctx context.Context, dsn string, args ...string) *exec.Cmd {
	return l.client(ctx, l.bin.pgbench, append(args, dsn)...)
}

func (l *Lab) client(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = l.dir
	cmd.Env = []string{"HOME=" + l.dir, "LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin"}
	return cmd
}
