package servers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// PgBouncerOptions say how a pgbouncer differs from the usual one of a Lab.
type PgBouncerOptions struct {
	// PoolMode is "session" or "transaction"; empty means session.
	PoolMode string
	// Certificate is what it presents to clients; nil means a valid one with a P-256 key.
	Certificate *tlstest.Pair
	// Mutual demands a certificate of the Lab's CA from clients (client_tls_sslmode=verify-full).
	Mutual bool
	// Database is the only one that clients may use; empty means that they may use each.
	Database string
	// Settings are further lines of the section [pgbouncer].
	Settings []string
	// Users are further accounts of the userlist with their passwords or SCRAM secrets. User itself may be among them.
	Users map[string]string
}

// PgBouncer is a running pgbouncer in front of a Postgres: TLS is required from clients (client_tls_sslmode=require),
// who log in by SCRAM-SHA-256; its own leg to PostgreSQL is TLS over loopback. It logs each login with its TLS version.
type PgBouncer struct {
	*Process
	// Addr is host:port of the listener that clients use.
	Addr string

	lab    *Lab
	config string
}

// PgBouncer starts a pgbouncer and returns when it accepts connections. ctx bounds the start only.
func (l *Lab) PgBouncer(ctx context.Context, pg *Postgres, o PgBouncerOptions) (*PgBouncer, error) {
	port, err := l.Port()
	if err != nil {
		return nil, err
	}
	folder, err := l.serverFolder("pgbouncer")
	if err != nil {
		return nil, err
	}
	pair := o.Certificate
	if pair == nil {
		pair = l.ServerCertificate(tlstest.P256)
	}
	b := &PgBouncer{Addr: "127.0.0.1:" + port, lab: l, config: filepath.Join(folder, "pgbouncer.ini")}
	files := map[string][]byte{
		b.config:                              []byte(pgbouncerConfig(folder, port, pg, o)),
		filepath.Join(folder, "clients.crt"):  l.CA.PEM(),
		filepath.Join(folder, "userlist.txt"): userlist(o.Users),
		filepath.Join(folder, "server.crt"):   pair.CertPEM(),
		filepath.Join(folder, "server.key"):   pair.KeyPEM(),
	}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, fmt.Errorf("configure pgbouncer: %w", err)
		}
		if err := l.Give(path); err != nil {
			return nil, err
		}
	}
	if err := b.Start(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// userlist is pgbouncer's list of accounts. Letters beyond ASCII are written as they are, a quote doubled.
func userlist(further map[string]string) (list []byte) {
	users := map[string]string{User: Password, "noisy": Password}
	maps.Copy(users, further)
	quote := strings.NewReplacer(`"`, `""`)
	for user, password := range users {
		list = fmt.Appendf(list, "\"%s\" \"%s\"\n", quote.Replace(user), quote.Replace(password))
	}
	return list
}

func pgbouncerConfig(folder, port string, pg *Postgres, o PgBouncerOptions) string {
	host, pgPort, _ := net.SplitHostPort(pg.Addr) // made by this package
	mode := o.PoolMode
	if mode == "" {
		mode = "session"
	}
	sslmode := "require"
	if o.Mutual {
		sslmode = "verify-full"
	}
	return strings.Join(append([]string{
		"[databases]",
		cmp.Or(o.Database, "*") + " = host=" + host + " port=" + pgPort,
		"[pgbouncer]",
		"listen_addr = 127.0.0.1", "listen_port = " + port, "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = " + filepath.Join(folder, "userlist.txt"),
		"client_tls_sslmode = " + sslmode, "client_tls_ca_file = " + filepath.Join(folder, "clients.crt"),
		"client_tls_cert_file = " + filepath.Join(folder, "server.crt"),
		"client_tls_key_file = " + filepath.Join(folder, "server.key"),
		"server_tls_sslmode = require",
		"pool_mode = " + mode, "max_client_conn = 1000", "default_pool_size = 250",
		"ignore_startup_parameters = extra_float_digits,options",
		"log_connections = 1", "log_disconnections = 1", "verbose = 1",
	}, o.Settings...), "\n") + "\n"
}

// Start runs pgbouncer, again after Stop on the same port, and returns when it accepts connections.
func (b *PgBouncer) Start(ctx context.Context) error {
	cmd := b.lab.serverCommand(syscall.SIGKILL, b.lab.bin.pgbouncer, b.config)
	p, err := b.lab.start("pgbouncer", cmd, syscall.SIGTERM) // SIGTERM: at once, without waiting for clients
	if err != nil {
		return err
	}
	b.Process = p
	return p.awaitLine(ctx, "process up")
}

// Present gives it another certificate while it runs, once, and returns when it has looked at it.
func (b *PgBouncer) Present(ctx context.Context, pair *tlstest.Pair) error {
	folder := filepath.Dir(b.config)
	for name, text := range map[string][]byte{"server.crt": pair.CertPEM(), "server.key": pair.KeyPEM()} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return fmt.Errorf("replace certificate of pgbouncer: %w", err)
		}
	}
	if err := b.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	return b.awaitLine(ctx, "got SIGHUP")
}
