package main

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// Names of the rows, as the tables have them. A pgorigin is called by the label of its binary.
const (
	rowDirect  = "direct"
	rowStunnel = "stunnel"
	rowSidecar = "pgbouncer"
	rowNaive   = "naive Go"
	rowAlone   = "no TLS, no password"
)

// row is one way from a client to a server.
type row struct {
	name string
	// connectOnly rows differ from others in how they connect, and are measured there alone.
	connectOnly bool
	// missing says why a row cannot run; empty if it can.
	missing string
	// blind rows do not know the protocol, and serve no client that PostgreSQL offers SCRAM-SHA-256-PLUS.
	blind bool
	// plain rows do without TLS.
	plain bool
	// open starts it in front of upstream, host:port.
	open func(ctx context.Context, upstream string) (*tunnel, error)
}

// tunnel is a row that runs. Close it when measured.
type tunnel struct {
	dsn     func(options ...string) string
	process *servers.Process // nil: the client connects directly
	took    time.Duration    // to start, until it was ready
}

func (t *tunnel) Close() {
	if t.process != nil {
		t.process.Stop()
	}
}

// as is t for clients that log in as user.
func (t *tunnel) as(user string) *tunnel {
	other := *t
	other.dsn = func(options ...string) string { return t.dsn(append(options, "user="+user)...) }
	return &other
}

// spares is the variable that keeps TLS connections ready.
const spares = "PGORIGIN_WARM_SPARES"

// bridge are the settings that log in on the client's behalf, for accounts of both kinds.
func bridge(more ...string) []string {
	return append([]string{"PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_AUTH_REQUIRE=scram-sha-256,md5"}, more...)
}

func (s *stage) allRows(ctx context.Context) []row {
	rows := []row{{name: rowDirect, open: s.openDirect}}
	for _, o := range s.origins {
		rows = append(rows, row{name: o.label, open: s.openOrigin(o)})
	}
	rows = append(rows,
		row{name: rowStunnel, blind: true, open: s.openStunnel},
		row{name: rowSidecar, open: s.openSidecar},
		row{name: rowNaive, blind: true, open: s.openNaive},
		row{name: rowAlone, connectOnly: true, plain: true, open: s.openAlone},
	)
	for _, o := range s.origins {
		noSpares := o.lacks(ctx, spares)
		rows = append(rows,
			row{name: o.label + withSpare, connectOnly: true, missing: noSpares, open: s.openOrigin(o, spares+"=1")},
			row{name: o.label + ", 4 spares", connectOnly: true, missing: noSpares, open: s.openOrigin(o, spares+"=4")},
			row{name: o.label + withBridge, open: s.openOrigin(o, bridge()...)},
			row{name: o.label + withBridgeAndSpare, connectOnly: true, missing: noSpares, open: s.openOrigin(o, bridge(spares+"=1")...)},
		)
	}
	return rows
}

// What the names of rows with other settings add to the label.
const (
	withSpare          = ", 1 spare"
	withBridge         = ", bridge"
	withBridgeAndSpare = ", bridge, 1 spare"
)

// lacks returns why a build cannot be given a variable: its help does not name it. It returns "" if it can.
func (o origin) lacks(ctx context.Context, variable string) string {
	help, err := exec.CommandContext(ctx, o.path, "help").CombinedOutput()
	if err == nil && bytes.Contains(help, []byte(variable)) {
		return ""
	}
	return errNotHere.Error() + ": this build has no " + variable
}

func (s *stage) openDirect(_ context.Context, upstream string) (*tunnel, error) {
	return &tunnel{dsn: func(options ...string) string { return s.directDSN(upstream, options...) }}, nil
}

// openAlone leads to PostgreSQL's Unix socket, which asks for no password.
func (s *stage) openAlone(_ context.Context, upstream string) (*tunnel, error) {
	_, port, _ := strings.Cut(upstream, ":")
	return &tunnel{dsn: func(options ...string) string {
		return servers.DSN(upstream, append([]string{"host=" + s.postgres.SocketDir(), "port=" + port}, options...)...)
	}}, nil
}

// plaintext is a tunnel whose clients connect to addr.
func (s *stage) plaintext(p *servers.Process, addr string, err error) (*tunnel, error) {
	if err != nil {
		if p != nil {
			p.Stop()
		}
		return nil, err
	}
	return &tunnel{process: p, dsn: func(options ...string) string { return servers.DSN(addr, options...) }}, nil
}

func (s *stage) openOrigin(o origin, env ...string) func(context.Context, string) (*tunnel, error) {
	return func(ctx context.Context, upstream string) (*tunnel, error) {
		p, err := s.lab.Origin(ctx, o.path, upstream, append([]string{"PGORIGIN_TLS_SERVER_NAME=" + servers.ServerName}, env...)...)
		if err != nil {
			return nil, err
		}
		return s.plaintext(p.Process, p.Addr, nil)
	}
}

func (s *stage) openStunnel(ctx context.Context, upstream string) (*tunnel, error) {
	return s.plaintext(s.lab.Stunnel(ctx, upstream))
}

func (s *stage) openSidecar(ctx context.Context, upstream string) (*tunnel, error) {
	return s.plaintext(s.lab.Sidecar(ctx, upstream, s.accounts))
}

func (s *stage) openNaive(ctx context.Context, upstream string) (*tunnel, error) {
	port, err := s.lab.Port()
	if err != nil {
		return nil, err
	}
	return s.plaintext(s.lab.Peer(ctx, "naive", port, s.naive,
		"-listen", "127.0.0.1:"+port, "-upstream", upstream, "-ca", s.lab.CAFile, "-name", servers.ServerName))
}
