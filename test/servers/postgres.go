package servers

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// PostgresOptions say how a PostgreSQL differs from the usual one of a Lab.
type PostgresOptions struct {
	// NoTLS makes a server without TLS: it answers N to an SSLRequest and lets plaintext clients in.
	NoTLS bool
	// Env and Settings are further environment variables ("NAME=value") and lines of postgresql.conf.
	Env, Settings []string
	// HBA replaces pg_hba.conf. Files are further files of the data directory.
	HBA   string
	Files map[string]string
	// Ready is what its log says when it has started; empty means that it accepts connections.
	Ready string
	// BinDir has the initdb and the postgres of another version than Debian's; empty means Debian's.
	BinDir string
	// Port is its port; empty means a free one.
	Port string
}

// Postgres is a running PostgreSQL that refuses connections without TLS and passwords other than by SCRAM-SHA-256.
// The database "mutual" also demands a client certificate whose common name is the user.
type Postgres struct {
	*Process
	// Addr is host:port of the listener that clients use.
	Addr string
	// Certificate is what the server presents.
	Certificate *tlstest.Pair

	lab   *Lab
	data  string
	port  string
	env   []string
	ready string
	bin   binaries
}

// MutualDatabase is the database that demands a client certificate (clientcert=verify-full).
const MutualDatabase = "mutual"

// hbaTLS lets nobody in without TLS, but for the harness itself through the Unix socket.
const hbaTLS = `
local   all    all               trust
hostssl mutual all 127.0.0.1/32  scram-sha-256 clientcert=verify-full
hostssl all    all 127.0.0.1/32  scram-sha-256
hostssl replication all 127.0.0.1/32 scram-sha-256
`

const hbaPlain = `
local   all    all               trust
host    all    all 127.0.0.1/32  scram-sha-256
`

// setupSQL makes the account and the databases. The user "noisy" has a setting that became invalid, so that each of its
// logins gets a WARNING between AuthenticationOk and ReadyForQuery.
const setupSQL = `
CREATE ROLE app LOGIN PASSWORD '` + Password + `';
CREATE ROLE noisy LOGIN PASSWORD '` + Password + `';
CREATE ROLE vanished;
GRANT vanished TO noisy;
ALTER ROLE noisy SET role = 'vanished';
DROP ROLE vanished;
CREATE DATABASE app OWNER app;
CREATE DATABASE mutual OWNER app;
`

// Postgres starts a PostgreSQL and returns when it accepts connections. ctx bounds the start only.
func (l *Lab) Postgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	bin, makeTemplate := l.bin, l.template
	if o.BinDir != "" {
		bin.initdb, bin.postgres = filepath.Join(o.BinDir, "initdb"), filepath.Join(o.BinDir, "postgres")
		makeTemplate = func() (string, error) { return l.initdb(bin) }
	}
	template, err := makeTemplate()
	if err != nil {
		return nil, err
	}
	port := o.Port
	if port == "" {
		if port, err = l.Port(); err != nil {
			return nil, err
		}
	}
	folder, err := l.serverFolder("postgres-data")
	if err != nil {
		return nil, err
	}
	pg := &Postgres{
		Addr: "127.0.0.1:" + port, lab: l, data: filepath.Join(folder, "data"), port: port, env: o.Env, bin: bin,
		ready: cmp.Or(o.Ready, "database system is ready to accept connections"),
	}
	// cp keeps owners and modes; the template saves the second and a half that initdb takes.
	if err := l.serverCommand(syscall.SIGKILL, "/bin/cp", "-a", template, pg.data).Run(); err != nil {
		return nil, fmt.Errorf("copy data directory: %w", err)
	}
	if err := pg.configure(o); err != nil {
		return nil, err
	}
	if err := pg.Start(ctx); err != nil {
		return nil, err
	}
	return pg, nil
}

// initdb makes the data directory that every PostgreSQL of the Lab starts from, accounts included.
func (l *Lab) initdb(bin binaries) (string, error) {
	folder, err := l.serverFolder("template")
	if err != nil {
		return "", err
	}
	data := filepath.Join(folder, "data")
	cmd := l.serverCommand(syscall.SIGKILL, bin.initdb, "-D", data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("run initdb: %w\n%s", err, out)
	}
	// Single-user mode runs the statements without a listener; it takes one statement per line.
	single := l.serverCommand(syscall.SIGKILL, bin.postgres, "--single", "-F", "-D", data,
		"-c", "password_encryption=scram-sha-256", "-c", "exit_on_error=on", "postgres")
	single.Stdin = strings.NewReader(setupSQL)
	if out, err := single.CombinedOutput(); err != nil {
		return "", fmt.Errorf("create accounts: %w\n%s", err, out)
	}
	return data, nil
}

func (pg *Postgres) configure(o PostgresOptions) error {
	settings := []string{
		"listen_addresses = '127.0.0.1'", "port = " + pg.port, "unix_socket_directories = '" + filepath.Dir(pg.data) + "'",
		"fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_wal_size = '2GB'",
		"max_connections = 600", "synchronize_seqscans = off",
		"password_encryption = 'scram-sha-256'", "log_connections = on", "log_line_prefix = '%m [%p] %q%u@%d '",
	}
	files := map[string][]byte{"pg_hba.conf": []byte(hbaTLS)}
	if o.NoTLS {
		files["pg_hba.conf"] = []byte(hbaPlain)
	} else {
		pg.Certificate = pg.lab.ServerCertificate(tlstest.P256)
		files["server.crt"], files["server.key"] = pg.Certificate.CertPEM(), pg.Certificate.KeyPEM()
		files["clients.crt"] = pg.lab.CA.PEM()
		settings = append(settings, "ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'",
			"ssl_ca_file = 'clients.crt'")
	}
	settings = append(settings, o.Settings...)
	if o.HBA != "" {
		files["pg_hba.conf"] = []byte(o.HBA)
	}
	for name, text := range o.Files {
		files[name] = []byte(text)
	}
	files["postgresql.auto.conf"] = []byte(strings.Join(settings, "\n") + "\n")
	for name, text := range files {
		path := filepath.Join(pg.data, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return fmt.Errorf("configure PostgreSQL: %w", err)
		}
		if err := pg.lab.Give(path); err != nil {
			return err
		}
	}
	return nil
}

// ServerCertificate is a certificate that proves a server of the Lab: its DNS name, localhost and 127.0.0.1.
func (l *Lab) ServerCertificate(key tlstest.KeyType) *tlstest.Pair {
	return l.CA.Issue(tlstest.Leaf{
		CommonName: ServerName, DNSNames: []string{ServerName, "localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Key: key,
	})
}

// Start runs the server, again after Stop on the same port and data, and returns when it accepts connections.
func (pg *Postgres) Start(ctx context.Context) error {
	cmd := pg.lab.serverCommand(syscall.SIGQUIT, pg.bin.postgres, "-D", pg.data)
	cmd.Env = append(cmd.Env, pg.env...)
	// SIGINT ends sessions and writes a checkpoint, SIGQUIT does not wait for anything.
	p, err := pg.lab.start("postgres", cmd, syscall.SIGINT, syscall.SIGQUIT)
	if err != nil {
		return err
	}
	pg.Process = p
	return p.awaitLine(ctx, pg.ready)
}

// Write replaces a file of the data directory, or removes it if text is empty. It does not make the server read it.
func (pg *Postgres) Write(name, text string) error {
	path := filepath.Join(pg.data, name)
	if text == "" {
		return os.Remove(path)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	return pg.lab.Give(path)
}

// Settle says that the next Start is an ordinary one.
func (pg *Postgres) Settle() { pg.ready = "database system is ready to accept connections" }

// SocketDir is the folder of the Unix socket, through which everybody is let in; only the servers' user and root get there.
func (pg *Postgres) SocketDir() string { return filepath.Dir(pg.data) }

// Exec runs SQL as superuser through the Unix socket, past everything under test, and returns psql's bare output.
func (pg *Postgres) Exec(ctx context.Context, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := pg.lab.Psql(ctx, "host="+pg.SocketDir()+" port="+pg.port+" user=postgres dbname="+Database,
		"-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %q: %w\n%s", sql, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
