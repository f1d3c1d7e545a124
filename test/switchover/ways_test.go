//go:build switchover

package switchover

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// way is how clients reach the upstream.
type way struct {
	name string
	// start returns the connection string for clients. hosts are those of the upstream.
	start func(t *testing.T, hosts []string) (string, error)
	// connect is how new connections are made; nil means pgx.
	connect func(dsn string) connector
	// promised says that the goals are for it. owns says that it logs in by itself, so that it can save every
	// login.
	promised, owns bool
}

func ways() []way {
	return []way{
		{name: "strip", promised: true, start: originStart()},
		{name: "bridge", promised: true, owns: true, start: originStart("PGORIGIN_AUTH_CHANNEL_BINDING=bridge")},
		{name: "stunnel", start: stunnelStart},
		{name: "pgbouncer", owns: true, start: sidecarStart},
		{name: "libpq", start: libpqStart, connect: byLibpq},
	}
}

func originStart(env ...string) func(*testing.T, []string) (string, error) {
	return func(t *testing.T, hosts []string) (string, error) {
		t.Helper()
		var list []string
		for _, host := range hosts {
			list = append(list, net.JoinHostPort(host, postgresPort))
		}
		o, err := startOrigin(t, strings.Join(list, ","), env...)
		if err != nil {
			return "", err
		}
		return through(o.Addr), nil
	}
}

// stunnelStart has stunnel try the hosts in order.
func stunnelStart(t *testing.T, hosts []string) (string, error) {
	port, err := shared.lab.Port()
	if err != nil {
		return "", err
	}
	lines := []string{
		"foreground = yes", "pid =", "syslog = no",
		"[postgres]", "client = yes", "protocol = pgsql", "accept = 127.0.0.1:" + port, "failover = prio",
		"verifyChain = yes", "CAfile = " + shared.lab.CAFile, "checkHost = " + servers.ServerName,
		"delay = yes", // resolve names for each connection
	}
	for _, host := range hosts {
		lines = append(lines, "connect = "+net.JoinHostPort(host, postgresPort))
	}
	config := filepath.Join(shared.lab.Dir(), "stunnel-"+port+".conf")
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return "", err
	}
	_, addr, err := shared.lab.Peer(t.Context(), "stunnel", port, "stunnel", config)
	return through(addr), err
}

// sidecarStart has pgbouncer in the place of a tunnel, with its own defaults, except that it forgets names as
// soon as it may. With a list of hosts, pgbouncer 1.18 can verify the authority only, because it compares the
// certificate with the list.
func sidecarStart(t *testing.T, hosts []string) (string, error) {
	settings := []string{"dns_max_ttl = 1"}
	if len(hosts) > 1 {
		settings = append(settings, "server_tls_sslmode = verify-ca")
	}
	_, addr, err := shared.lab.Sidecar(t.Context(), strings.Join(hosts, ",")+":"+postgresPort, nil, settings...)
	return through(addr), err
}

// libpqStart leads past everything. Each host has five seconds, and has to take writes.
func libpqStart(_ *testing.T, hosts []string) (string, error) {
	return fmt.Sprintf("host=%s port=%s user=%s password=%s dbname=%s sslmode=verify-ca sslrootcert=%s "+
		"target_session_attrs=read-write connect_timeout=5", strings.Join(hosts, ","), postgresPort,
		servers.User, servers.Password, servers.Database, shared.lab.CAFile), nil
}
