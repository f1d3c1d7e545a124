package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Stunnel starts an stunnel client (protocol = pgsql) that verifies upstream, host:port, by the Lab's CA and ServerName,
// and returns when addr accepts connections. Its other settings are its own defaults. ctx bounds the start only.
func (l *Lab) Stunnel(ctx context.Context, upstream string) (p *Process, addr string, err error) {
	path, err := exec.LookPath("stunnel")
	if err != nil {
		return nil, "", fmt.Errorf("find stunnel: %w\n(test/install stunnel4 installs it)", err)
	}
	return l.StunnelBy(ctx, path, upstream)
}

// StunnelBy is Stunnel with a program that takes stunnel's arguments.
func (l *Lab) StunnelBy(ctx context.Context, path, upstream string) (p *Process, addr string, err error) {
	port, err := l.Port()
	if err != nil {
		return nil, "", err
	}
	config := filepath.Join(l.dir, "stunnel-"+port+".conf")
	text := strings.Join([]string{
		"foreground = yes", "pid =", "syslog = no",
		"[postgres]", "client = yes", "protocol = pgsql", "accept = 127.0.0.1:" + port, "connect = " + upstream,
		"verifyChain = yes", "CAfile = " + l.CAFile, "checkHost = " + ServerName,
	}, "\n") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, "", fmt.Errorf("configure stunnel: %w", err)
	}
	return l.Peer(ctx, "stunnel", port, path, config)
}

// Peer starts a program as whoever runs this and returns when 127.0.0.1:port accepts connections. ctx bounds the start
// only.
func (l *Lab) Peer(ctx context.Context, name, port, path string, args ...string) (p *Process, addr string, err error) {
	cmd := exec.CommandContext(context.Background(), path, args...) // the Lab stops it
	cmd.Dir, cmd.SysProcAttr = l.dir, sysProcAttr(nil, syscall.SIGKILL)
	if p, err = l.start(name, cmd, syscall.SIGTERM); err != nil {
		return nil, "", err
	}
	addr = "127.0.0.1:" + port
	return p, addr, p.awaitListener(ctx, addr)
}

// Sidecar starts a pgbouncer in the place of a tunnel: plaintext clients on loopback, server_tls_sslmode=verify-full to
// upstream, host:port. Pooling is by session, what a tunnel does too and what applications notice least; its pool is as
// big as its number of clients. users are further accounts with their passwords or SCRAM secrets. settings are further
// lines of its configuration, and may name other files than the Lab's. ctx bounds the start only.
func (l *Lab) Sidecar(
	ctx context.Context, upstream string, users map[string]string, settings ...string,
) (p *Process, addr string, err error) {
	port, err := l.Port()
	if err != nil {
		return nil, "", err
	}
	folder, err := l.serverFolder("sidecar")
	if err != nil {
		return nil, "", err
	}
	host, upstreamPort, _ := net.SplitHostPort(upstream) // an address without port makes a pgbouncer that fails
	files := map[string][]byte{
		"ca.crt": l.CA.PEM(), "userlist.txt": userlist(users),
		"pgbouncer.ini": []byte(strings.Join(append([]string{
			"[databases]", "* = host=" + host + " port=" + upstreamPort,
			"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + port, "unix_socket_dir =",
			"auth_type = md5", // SCRAM for who has a SCRAM secret
			"auth_file = " + filepath.Join(folder, "userlist.txt"),
			"server_tls_sslmode = verify-full", "server_tls_ca_file = " + filepath.Join(folder, "ca.crt"),
			"pool_mode = session", "max_client_conn = 20000", "default_pool_size = 20000",
			"ignore_startup_parameters = extra_float_digits,options",
		}, settings...), "\n") + "\n"),
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, "", fmt.Errorf("configure pgbouncer: %w", err)
		}
		if err := l.Give(path); err != nil {
			return nil, "", err
		}
	}
	cmd := l.serverCommand(syscall.SIGKILL, l.bin.pgbouncer, filepath.Join(folder, "pgbouncer.ini"))
	if p, err = l.start("sidecar", cmd, syscall.SIGTERM); err != nil {
		return nil, "", err
	}
	addr = "127.0.0.1:" + port
	return p, addr, p.awaitListener(ctx, addr)
}

// awaitListener returns when addr accepts a connection, or the process has ended.
func (p *Process) awaitListener(ctx context.Context, addr string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := PollEvery(ctx, time.Millisecond, func() error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w; its log ends with:\n%s", p.Name, err, p.Log.Tail(20))
	}
	return nil
}
