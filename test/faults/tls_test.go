//go:build faults

package faults

import (
	"crypto/tls"
	"io"
	"net"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// postgresWith is a PostgreSQL with settings of its own.
func postgresWith(settings ...string) func(*scene) {
	return func(s *scene) { s.upstream = s.server(servers.PostgresOptions{Settings: settings}).Addr }
}

// frontWith is a scripted server in front of a PostgreSQL. The cure is a good configuration.
func frontWith(change func(*tls.Config)) func(*scene) {
	return func(s *scene) {
		config := goodTLS()
		change(config)
		g := s.gate(fronts(config))
		s.upstream = g.Addr
		s.cure = func() { g.become(fronts(goodTLS())) }
	}
}

func tlsFaults() []fault {
	return []fault{
		{
			name: "PostgreSQL has no TLS", lax: `rejected TLS|refused|does not support SSL`, reason: "tls_refused",
			cause: []string{`TLS|SSL`, `\bN\b|does not support|no TLS|has no`}, first: `ssl ?= ?on|Turn TLS on`,
			make: func(s *scene) {
				s.upstream = shared.plain.Addr
				s.cure = func() { s.upstream = shared.postgres.Addr }
			},
		},
		{
			name: "pgbouncer has no TLS", lax: `rejected TLS|refused|does not support SSL`, reason: "tls_refused",
			cause: []string{`TLS|SSL`, `\bN\b|does not support|no TLS|has no`}, first: `client_tls_sslmode|Turn TLS on`,
			make: func(s *scene) {
				b := s.bouncer(servers.PgBouncerOptions{Settings: []string{"client_tls_sslmode = disable"}})
				s.upstream = b.Addr
				s.cure = func() { s.upstream = s.bouncer(servers.PgBouncerOptions{}).Addr }
			},
		},
		{
			name: "PostgreSQL has TLS 1.2 only, 1.3 is demanded", lax: `protocol version`, reason: "tls_no_common",
			cause: []string{`1\.3`, `version`}, first: `PGORIGIN_TLS_MIN_VERSION`,
			make: func(s *scene) {
				postgresWith("ssl_max_protocol_version = 'TLSv1.2'")(s)
				s.env = []string{"PGORIGIN_TLS_MIN_VERSION=1.3"}
				s.set = map[string]string{"PGORIGIN_TLS_MIN_VERSION": "1.2"}
				s.direct = []string{"ssl_min_protocol_version=TLSv1.3"}
			},
		},
		{
			name: "the server has TLS 1.1 only", lax: `protocol version|unsupported protocol`, reason: "tls_no_common",
			cause: []string{`version`, `1\.2`}, first: `upstream|server|ssl_min|protocol`, peers: `ssl_min_protocol_version`,
			make: frontWith(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
		},
		{
			name: "PostgreSQL has only ciphers without forward secrecy", lax: `handshake failure`, reason: "tls_no_common",
			cause: []string{`cipher`}, first: `ssl_ciphers|cipher`,
			make: func(s *scene) {
				postgresWith("ssl_ciphers = 'DHE-RSA-AES128-SHA'", "ssl_max_protocol_version = 'TLSv1.2'")(s)
				s.cure = func() { s.upstream = shared.postgres.Addr }
			},
		},
		{
			name: "pgbouncer has a curve that nobody offers", lax: `handshake failure`, reason: "tls_no_common",
			cause: []string{`key exchange|group|curve`}, first: `curve|group`,
			make: func(s *scene) {
				pg := s.server(servers.PostgresOptions{Settings: []string{"ssl_ecdh_curve = 'secp256k1'"}})
				s.upstream = pg.Addr
				s.cure = func() { s.upstream = shared.postgres.Addr }
			},
		},
		{
			name: "post-quantum keys are required, PostgreSQL has none", reason: "tls_no_common",
			cause: []string{`post-quantum|MLKEM|PGORIGIN_TLS_POST_QUANTUM`}, first: `PGORIGIN_TLS_POST_QUANTUM`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{"PGORIGIN_TLS_POST_QUANTUM=require"}
				s.set = map[string]string{"PGORIGIN_TLS_POST_QUANTUM": "prefer"}
				s.noPeers = true
			},
		},
		{
			name: "the proxy knows no such server name", lax: `unrecognized name`, reason: "tls_server_name",
			cause: []string{`name`, `localhost|127\.0\.0\.1|no (server )?name|SNI`}, first: `PGORIGIN_TLS_SERVER_NAME`,
			make: func(s *scene) {
				s.upstream = s.gate(byName(servers.ServerName)).Addr
				s.set = map[string]string{"PGORIGIN_TLS_SERVER_NAME": servers.ServerName}
			},
		},
		{
			name: "the server speaks no direct TLS: PostgreSQL 15", reason: "tls_protocol",
			cause: []string{`direct`}, first: `PGORIGIN_TLS_NEGOTIATION=postgres`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{"PGORIGIN_TLS_NEGOTIATION=direct"}
				s.noPeers = true
			},
		},
		{
			name: "the server speaks no direct TLS: pgbouncer 1.18", reason: "tls_protocol",
			cause: []string{`direct`}, first: `PGORIGIN_TLS_NEGOTIATION=postgres`,
			make: func(s *scene) {
				s.upstream = s.bouncer(servers.PgBouncerOptions{}).Addr
				s.env = []string{"PGORIGIN_TLS_NEGOTIATION=direct"}
				s.noPeers = true
			},
		},
		{
			name: "direct TLS reaches another protocol", reason: "tls_alpn",
			cause: []string{`ALPN|agree`}, first: `PGORIGIN_UPSTREAM_ADDR|PGORIGIN_TLS_NEGOTIATION`,
			make: func(s *scene) {
				s.upstream = s.gate(inTLS(goodTLS(), func(c *tls.Conn) { hold(c) })).Addr
				s.env = []string{"PGORIGIN_TLS_NEGOTIATION=direct"}
				s.noPeers = true
				s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": s.direct17()}
			},
		},
		{
			name: "a proxy knows another protocol only", reason: "tls_alpn", simulated: "The proxy accepts the protocol.",
			cause: []string{`ALPN`, `postgresql`}, first: `proxy.*ALPN`,
			make: func(s *scene) {
				frontWith(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })(s)
				s.noPeers = true // they send no protocol
			},
		},
		{
			name: "the server takes direct TLS only", reason: "upstream_silent",
			cause: []string{`no answer|not answer|silent`},
			first: `PGORIGIN_UPSTREAM_ADDR`, tried: `PGORIGIN_TLS_NEGOTIATION=direct`,
			make: func(s *scene) {
				s.brief = true
				s.upstream = s.direct17()
				s.noPeers = true
			},
		},
		{
			name: "the server takes direct TLS only, and says so", reason: "not_postgres",
			cause: []string{`\bTLS\b`, `first byte`}, first: `PGORIGIN_TLS_NEGOTIATION=direct`,
			make: func(s *scene) {
				config := goodTLS()
				config.NextProtos = []string{"postgresql"}
				s.upstream = s.gate(directOnly(config, "\x15\x03\x01\x00\x02\x02\x46")).Addr
				s.noPeers = true
			},
		},
		{
			name: "a firewall swallows large ClientHellos", reason: "tls_timeout",
			cause: []string{`no answer`, `ClientHello`}, first: `PGORIGIN_TLS_POST_QUANTUM|firewall`,
			make: func(s *scene) {
				s.brief = true
				s.upstream = s.gate(swallows(shared.postgres.Addr, hold)).Addr
				s.env = []string{"PGORIGIN_TLS_POST_QUANTUM=require"}
				s.noPeers = true
			},
		},
		{
			name: "a firewall swallows large ClientHellos, by the list of groups", reason: "tls_timeout",
			cause: []string{`no answer`, `ClientHello`}, first: `PGORIGIN_TLS_GROUPS`,
			make: func(s *scene) {
				s.brief = true
				s.upstream = s.gate(swallows(shared.postgres.Addr, hold)).Addr
				s.env, s.noPeers = []string{"PGORIGIN_TLS_GROUPS=X25519MLKEM768"}, true
				s.set = map[string]string{"PGORIGIN_TLS_GROUPS": "X25519MLKEM768,X25519,P-256"}
			},
		},
		{
			name: "a firewall closes connections with large ClientHellos", reason: "upstream_gone",
			cause: []string{`closed`}, first: `PGORIGIN_TLS_POST_QUANTUM`,
			make: func(s *scene) {
				s.upstream = s.gate(swallows(shared.postgres.Addr, nil)).Addr
				s.env, s.noPeers = []string{"PGORIGIN_TLS_POST_QUANTUM=require"}, true
				s.set = map[string]string{"PGORIGIN_TLS_POST_QUANTUM": "prefer"}
			},
		},
		{
			name: "a firewall closes connections with large ClientHellos, by the list of groups", reason: "upstream_gone",
			cause: []string{`closed`}, first: `PGORIGIN_TLS_GROUPS`,
			make: func(s *scene) {
				s.upstream = s.gate(swallows(shared.postgres.Addr, nil)).Addr
				s.env, s.noPeers = []string{"PGORIGIN_TLS_GROUPS=X25519MLKEM768"}, true
				s.set = map[string]string{"PGORIGIN_TLS_GROUPS": "X25519MLKEM768,X25519,P-256"}
			},
		},
		{
			name: "the server does not understand large ClientHellos", reason: "tls_alert",
			cause: []string{`alert`, `decode|50`}, first: `PGORIGIN_TLS_POST_QUANTUM`,
			make: func(s *scene) {
				s.upstream = s.gate(swallows(shared.postgres.Addr, func(conn net.Conn) {
					_, _ = conn.Write([]byte{21, 3, 3, 0, 2, 2, 50})
				})).Addr
				s.noPeers = true
			},
		},
		{
			name: "the list of groups has none of the server's", reason: "tls_no_common",
			cause: []string{`X25519`}, first: `PGORIGIN_TLS_GROUPS`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env, s.noPeers = []string{"PGORIGIN_TLS_GROUPS=X25519"}, true
				s.set = map[string]string{"PGORIGIN_TLS_GROUPS": "X25519,P-256"}
			},
		},
		{
			name: "the server is slow in the handshake", reason: "tls_timeout",
			cause: []string{`handshake`, `received \d\d+ bytes`}, first: `PGORIGIN_DIAL_TIMEOUT`,
			make: func(s *scene) {
				s.brief = true
				s.upstream = s.gate(drips(shared.postgres.Addr, 200, 2500*time.Millisecond)).Addr
				s.env, s.noPeers = []string{"PGORIGIN_LOGIN_TIMEOUT=30s"}, true
				s.set = map[string]string{"PGORIGIN_DIAL_TIMEOUT": "20s"}
			},
		},
		{
			name: "the server hangs in the handshake", reason: "tls_timeout", simulated: "The server goes on.",
			cause: []string{`no answer`, `ClientHello`}, first: `load|hang|hung|busy|log\b`,
			make: func(s *scene) {
				s.brief = true
				g := s.gate(answersAndHolds("S"))
				s.upstream = g.Addr
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "the server ends the connection in the handshake", lax: `EOF|closed`, reason: "upstream_gone",
			simulated: "The server is repaired.",
			cause:     []string{`TLS|handshake|ClientHello`, `closed|EOF`}, first: `\blog\b`,
			make: func(s *scene) {
				g := s.gate(answers("S"))
				s.upstream = g.Addr
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "plaintext after the answer to SSLRequest and ClientHello", reason: "tls_protocol",
			cause: []string{`not TLS|no TLS|TLS record`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) {
				s.upstream = s.gate(func(conn *net.TCPConn) {
					_, _ = io.CopyN(io.Discard, conn, 8)
					_, _ = io.WriteString(conn, "S")
					_, _ = conn.Read(make([]byte, 16))
					_, _ = io.WriteString(conn, "ERROR: what do you mean?\n")
					hold(conn)
				}).Addr
				s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": shared.postgres.Addr}
			},
		},
		{
			name: "the server has an internal error", reason: "tls_alert", simulated: "The server is repaired.",
			cause: []string{`alert`, `internal`}, first: `\blog\b`,
			make: frontWith(func(c *tls.Config) {
				c.Certificates = nil
				c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.ErrNoProgress }
			}),
		},
	}
}

// byName serves only clients that ask for a name, as a proxy with many servers does.
func byName(name string) handler {
	good := goodTLS()
	return func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, 8)
		_, _ = io.WriteString(conn, "S")
		config := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if hello.ServerName != name {
				_, _ = conn.Write([]byte{21, 3, 3, 0, 2, 2, 112}) // unrecognized_name; crypto/tls never says it
				_ = conn.CloseWrite()
				return nil, io.ErrUnexpectedEOF
			}
			return good, nil
		}}
		inTLS(config, func(client *tls.Conn) {
			server, err := net.Dial("tcp", shared.plain.Addr)
			if err == nil {
				splice(client, server)
			}
		})(conn)
	}
}

// direct17 is the address of a server that takes direct TLS, as PostgreSQL 17 does.
func (s *scene) direct17() string {
	config := goodTLS()
	config.NextProtos = []string{"postgresql"}
	return s.gate(directOnly(config, "")).Addr
}

// directOnly serves direct TLS. It gives refusal to anything else, and waits for more.
func directOnly(config *tls.Config, refusal string) handler {
	return func(conn *net.TCPConn) {
		first := make([]byte, 1)
		if _, err := io.ReadFull(conn, first); err != nil || first[0] != 22 {
			_, _ = io.WriteString(conn, refusal)
			hold(conn)
			return
		}
		client := tls.Server(&prepended{conn, first}, config)
		if client.Handshake() != nil {
			return
		}
		server, err := net.Dial("tcp", shared.plain.Addr)
		if err == nil {
			splice(client, server)
		}
	}
}

// prepended is a connection whose first byte was read already.
type prepended struct {
	net.Conn
	first []byte
}

func (c *prepended) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// largeHello is more than a ClientHello without post-quantum key exchange has, in bytes.
const largeHello = 600

// swallows relays, but a large ClientHello arrives nowhere. Then comes what dislike does, if it is
// not nil, and the end.
func swallows(upstream string, dislike func(net.Conn)) handler {
	return func(conn *net.TCPConn) {
		head := make([]byte, 8+5)
		if _, err := io.ReadFull(conn, head[:8]); err != nil {
			return
		}
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			return
		}
		defer server.Close()
		_, _ = server.Write(head[:8])
		answer := make([]byte, 1)
		_, _ = io.ReadFull(server, answer)
		_, _ = conn.Write(answer)
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadFull(conn, head[8:]); err != nil {
			return
		}
		if int(head[11])<<8+int(head[12]) > largeHello {
			_, _ = io.CopyN(io.Discard, conn, int64(head[11])<<8+int64(head[12])) // else the end is a reset
			if dislike != nil {
				dislike(conn)
			}
			return
		}
		_, _ = server.Write(head[8:])
		splice(conn, server)
	}
}

// drips relays, but what the server says behind its first bytes comes after a delay.
func drips(upstream string, first int64, delay time.Duration) handler {
	return func(conn *net.TCPConn) {
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			return
		}
		defer server.Close()
		go func() { _, _ = io.Copy(server, conn) }()
		_, _ = io.CopyN(conn, server, first)
		time.Sleep(delay)
		_, _ = io.Copy(conn, server)
	}
}
