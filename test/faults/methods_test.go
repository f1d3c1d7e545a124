package faults

import (
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
)

func methodFaults() []fault {
	asks := func(method string) string {
		return "local all all trust\nhostssl all all 127.0.0.1/32 " + method + "\n"
	}
	bridge := "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"
	return []fault{
		{
			name: "the server asks for a password in the clear, SCRAM is demanded", reason: "auth_rejected",
			cause: []string{`password`, `scram-sha-256|PGORIGIN_AUTH_REQUIRE`}, first: `PGORIGIN_AUTH_REQUIRE|scram`, ofAccount: true,
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
				g := s.gate(insideTLS(string(pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS"))))
				s.upstream = g.Addr
				s.noPeers = true
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "a bound login is demanded, pgbouncer 1.18 has none", reason: "auth_rejected",
			cause: []string{`PLUS|channel binding|bound`}, first: `PGORIGIN_AUTH_REQUIRE|PGORIGIN_AUTH_CHANNEL_BINDING`, ofAccount: true,
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
			serverSays: true, hidden: map[surface]string{check: "check has a password of its own"},
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{bridge, "PGORIGIN_AUTH_PASSWORD_FILE=" + writeFile(s.T, "password", []byte("old\n"))}
				s.set = map[string]string{"PGORIGIN_AUTH_PASSWORD_FILE": writeFile(s.T, "password", []byte(servers.Password+"\n"))}
				s.noPeers = true
			},
		},
		{
			name: "the client has no password", reason: "login_abandoned",
			cause: []string{`left|closed|gone`, `scram|password`}, first: `password`, clientSays: `no password supplied`,
			hidden: map[surface]string{check: "check has a password of its own"},
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.options = []string{"password=''"}
				s.noPeers = true
				s.cure = func() { s.options = nil }
			},
		},
		{
			name: "a bridge asks for a password, the client sends none in the clear", reason: "login_abandoned",
			cause: []string{`left|closed|gone`, `password`}, first: `password|require_auth`, clientSays: `no password supplied`,
			hidden: map[surface]string{check: "check has a password of its own"},
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{bridge}
				s.options = []string{"password=''"}
				s.noPeers = true
				s.cure = func() { s.options = nil }
			},
		},
		{
			name: "the server does not answer the login", reason: "login_timeout",
			cause: []string{`took longer|in time`, `login`}, first: `load|PGORIGIN_LOGIN_TIMEOUT|log`,
			make: func(s *scene) {
				s.brief = true
				g := s.gate(insideTLS(""))
				s.upstream = g.Addr
				s.set = map[string]string{"PGORIGIN_LOGIN_TIMEOUT": "20s"}
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
	}
}
