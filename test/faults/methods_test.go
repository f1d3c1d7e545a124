//go:build faults

package faults

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func methodFaults() []fault {
	asks := func(method string) string {
		return "local all all trust\nhostssl all all 127.0.0.1/32 " + method + "\n"
	}
	bridge := "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"
	scripted := func(s *scene, serve handler) {
		g := s.gate(serve)
		s.upstream, s.noPeers = g.Addr, true
		s.cure = func() { g.become(relays(shared.postgres.Addr)) }
	}
	return append(silentLogins(), []fault{
		{
			name: "the server asks for no password, SCRAM is demanded", reason: "auth_rejected",
			cause: []string{`no password|no authentication|without|none`},
			first: `scram|PGORIGIN_AUTH_REQUIRE`, ofAccount: true,
			make: func(s *scene) {
				hba("hostssl all all 127.0.0.1/32 trust\n")(s)
				s.env, s.noPeers = []string{"PGORIGIN_AUTH_REQUIRE=scram-sha-256"}, true
			},
		},
		{
			name: "the server offers SCRAM-SHA-256-PLUS only, the CA has an Ed25519 key", reason: "auth_channel_binding",
			cause: []string{`signed with Ed25519`}, first: `CA with`, ofAccount: true,
			make: func(s *scene) {
				ca := tlstest.NewCA("Ed25519 CA", tlstest.Ed25519)
				config := func() *tls.Config { return serves(ca.Issue(leaf())) }
				s.env = []string{bridge, "PGORIGIN_TLS_CA_FILE=" + writeFile(s.T, "ca.crt", slices.Concat(ca.PEM(), shared.lab.CA.PEM()))}
				scripted(s, insideTLSOf(config, string(pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS")), ""))
			},
		},
		{
			name: "the server asks for a method that nobody knows", reason: "upstream_protocol",
			cause: []string{`method|authentication`, `99`}, first: `pg_hba|scram|PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) { scripted(s, insideTLS(string(pgtest.Message('R', "\x00\x00\x00\x63")), "")) },
		},
		{
			name: "the server does not know the password itself", reason: "upstream_protocol",
			cause: []string{`prove|proof|signature|password`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			hidden: map[surface]string{check: "the impostor does not know the user of check"},
			make: func(s *scene) {
				s.env = []string{bridge}
				scripted(s, impostor())
			},
		},
		{
			name: "a client without channel binding is offered it", reason: "login_abandoned",
			cause: []string{`left`, `SCRAM`}, first: `PGORIGIN_AUTH_CHANNEL_BINDING`, clientSays: `SCRAM-SHA-256-PLUS`,
			hidden: abandoned(),
			make: func(s *scene) {
				s.upstream, s.noPeers = shared.postgres.Addr, true
				s.env = []string{"PGORIGIN_AUTH_CHANNEL_BINDING=pass"}
			},
		},
		{
			name: "the server asks for an OAuth token", reason: "login_abandoned", simulated: "The server asks for SCRAM.",
			cause: []string{`left`, `OAuth`}, first: `OAuth`, clientSays: `SASL`, hidden: abandoned(),
			make: func(s *scene) { scripted(s, insideTLS(string(pgtest.AuthenticationSASL("OAUTHBEARER")), "")) },
		},
		{
			name: "the server asks for Kerberos", reason: "login_abandoned", simulated: "The server asks for SCRAM.",
			cause: []string{`left`, `GSS|Kerberos`}, first: `kinit|ticket`, clientSays: `GSS`, hidden: abandoned(),
			make: func(s *scene) { scripted(s, insideTLS(string(pgtest.Message('R', "\x00\x00\x00\x07")), "")) },
		},
		{
			name: "the Kerberos ticket is of another user", reason: "auth_rejected", simulated: "The server maps the principal.",
			cause: []string{`GSSAPI`}, first: `principal`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				scripted(s, insideTLS(string(pgtest.Message('E',
					"SFATAL\x00C28000\x00MGSSAPI authentication failed for user \"app\"\x00Rauth_failed\x00\x00"))))
			},
		},
		{
			name: "the server asks for a password in the clear, SCRAM is demanded", reason: "auth_rejected",
			cause: []string{`password`, `scram-sha-256|PGORIGIN_AUTH_REQUIRE`},
			first: `PGORIGIN_AUTH_REQUIRE|scram`, ofAccount: true,
			make: func(s *scene) {
				s.upstream = s.server(servers.PostgresOptions{HBA: asks("password")}).Addr
				s.env = []string{"PGORIGIN_AUTH_REQUIRE=scram-sha-256"}
				s.set = map[string]string{"PGORIGIN_AUTH_REQUIRE": "password"}
				s.direct = []string{"require_auth=scram-sha-256"}
				s.noPeers = true
			},
		},
		{
			name: "the server asks for MD5, a bridge does SCRAM only", reason: "auth_rejected",
			cause: []string{`md5`, `scram-sha-256|bridge`}, first: `PGORIGIN_AUTH_REQUIRE|scram`, ofAccount: true,
			make: func(s *scene) {
				pg := s.server(servers.PostgresOptions{HBA: asks("md5"), Settings: []string{"password_encryption = 'md5'"}})
				_, err := pg.Exec(s.ctx, "SET password_encryption = 'md5'; ALTER ROLE app PASSWORD '"+servers.Password+"'")
				s.do(err)
				s.upstream = pg.Addr
				s.env = []string{bridge}
				s.set = map[string]string{"PGORIGIN_AUTH_REQUIRE": "md5"}
				s.noPeers = true
			},
		},
		{
			name: "the server offers SCRAM-SHA-256-PLUS only", reason: "auth_channel_binding",
			cause: []string{`PLUS|channel binding`}, first: `PGORIGIN_AUTH_CHANNEL_BINDING=bridge`,
			make: func(s *scene) {
				g := s.gate(insideTLS(string(pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS")), ""))
				s.upstream = g.Addr
				s.noPeers = true
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "a bound login is demanded, pgbouncer 1.18 has none", reason: "auth_rejected",
			cause: []string{`PLUS|channel binding|bound`},
			first: `PGORIGIN_AUTH_REQUIRE|PGORIGIN_AUTH_CHANNEL_BINDING`, ofAccount: true,
			make: func(s *scene) {
				s.upstream = s.bouncer(servers.PgBouncerOptions{}).Addr
				s.env = []string{bridge, "PGORIGIN_AUTH_REQUIRE=scram-sha-256-plus"}
				s.set = map[string]string{"PGORIGIN_AUTH_REQUIRE": "scram-sha-256"}
				s.noPeers = true
			},
		},
		{
			name: "the password file has an old password", reason: "auth_rejected",
			cause: []string{`password authentication failed|SASL authentication failed`}, first: `PGORIGIN_AUTH_PASSWORD_FILE`,
			serverSays: true, ofAccount: true,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{bridge, "PGORIGIN_AUTH_PASSWORD_FILE=" + writeFile(s.T, "password", []byte("old\n"))}
				s.set = map[string]string{"PGORIGIN_AUTH_PASSWORD_FILE": writeFile(s.T, "password", []byte(servers.Password+"\n"))}
				s.noPeers = true
			},
		},
		{
			name: "the password file vanishes", reason: "auth_rejected",
			cause: []string{`password`}, first: `PGORIGIN_AUTH_PASSWORD_FILE`,
			hidden: map[surface]string{check: "check has a password of its own"},
			make: func(s *scene) {
				path := writeFile(s.T, "password", []byte(servers.Password+"\n"))
				s.upstream, s.noPeers = shared.postgres.Addr, true
				s.env = []string{bridge, "PGORIGIN_AUTH_PASSWORD_FILE=" + path}
				s.before = func(*servers.Origin) { s.do(os.Remove(path)) }
				s.cure = func() {
					s.before = nil
					s.do(os.WriteFile(path, []byte(servers.Password+"\n"), 0o600))
				}
			},
		},
		{
			name: "the client has no password", reason: "login_abandoned",
			cause: []string{`left|closed|gone`, `scram|password`}, first: `password`, clientSays: `no password supplied`,
			hidden: abandoned(),
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.options = []string{"password=''"}
				s.noPeers = true
				s.cure = func() { s.options = nil }
			},
		},
		{
			name: "a bridge asks for a password, the client sends none in the clear", reason: "login_abandoned",
			cause: []string{`left|closed|gone`, `password`},
			first: `password|require_auth`, clientSays: `no password supplied`,
			hidden: abandoned(),
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{bridge}
				s.options = []string{"password=''"}
				s.noPeers = true
				s.cure = func() { s.options = nil }
			},
		},
		{
			name: "the server does not answer the login", reason: "login_timeout", simulated: "The server is busy no longer.",
			cause: []string{`took longer|in time`}, first: `load|PGORIGIN_LOGIN_TIMEOUT|log`,
			make: func(s *scene) {
				s.env = briefLogin()
				g := s.gate(insideTLS(""))
				s.upstream = g.Addr
				s.set = map[string]string{"PGORIGIN_LOGIN_TIMEOUT": "20s"}
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
	}...)
}

// abandoned are the surfaces that do not show a client that has left.
func abandoned() map[surface]string {
	return map[surface]string{check: "check does not leave", page: "a client that leaves is no failure"}
}

// silentLogins are clients that do not answer when they are asked for a password.
func silentLogins() []fault {
	silent := func(s *scene) {
		s.client = func(addr string) string {
			return s.says(addr, string(pgtest.Startup("user", servers.User, "database", servers.Database)), 8*time.Second)
		}
		s.noPeers = true
	}
	return []fault{
		{
			name: "the client does not answer", reason: "login_timeout", cause: []string{`client`, `login`}, first: `client`,
			hidden: map[surface]string{check: "check answers"},
			make: func(s *scene) {
				s.env, s.upstream = briefLogin(), shared.postgres.Addr
				silent(s)
			},
		},
		{
			name: "the client does not answer, and pgbouncer waits no longer", reason: "login_timeout",
			cause: []string{`client_login_timeout`},
			first: `client`, serverSays: true, hidden: map[surface]string{check: "check answers"},
			make: func(s *scene) {
				silent(s)
				throughBouncer(servers.PgBouncerOptions{Settings: []string{"client_login_timeout = 1"}})(s)
			},
		},
		{
			name: "the client does not answer, and PostgreSQL waits no longer", reason: "upstream_gone",
			cause: []string{`closed`, `auth`}, first: `client|log\b`, hidden: map[surface]string{check: "check answers"},
			make: func(s *scene) {
				s.upstream = s.server(servers.PostgresOptions{Settings: []string{"authentication_timeout = 1s"}}).Addr
				silent(s)
			},
		},
	}
}

// impostor does SCRAM and does not know the password: it makes up its proof.
func impostor() handler {
	return func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, 8)
		_, _ = io.WriteString(conn, "S")
		inTLS(goodTLS(), func(client *tls.Conn) {
			read := func() string {
				packet := make([]byte, 4096)
				n, _ := client.Read(packet)
				return string(packet[:n])
			}
			say := func(message []byte) { _, _ = client.Write(message) }
			read()
			say(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			_, nonce, _ := strings.Cut(read(), "r=")
			say(pgtest.Message('R', "\x00\x00\x00\x0br="+nonce+"server,s=c2FsdA==,i=4096"))
			read()
			say(pgtest.Message('R', "\x00\x00\x00\x0cv="+base64.StdEncoding.EncodeToString(make([]byte, 32))))
			hold(client)
		})(conn)
	}
}
