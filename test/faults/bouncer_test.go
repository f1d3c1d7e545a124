//go:build faults

package faults

import (
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
)

// throughBouncer is a pgbouncer with settings of its own. The cure is a usual one.
func throughBouncer(o servers.PgBouncerOptions) func(*scene) {
	return func(s *scene) {
		s.upstream = s.bouncer(o).Addr
		s.cure = func() { s.upstream, s.options = s.bouncer(servers.PgBouncerOptions{}).Addr, nil }
	}
}

// console runs a command of pgbouncer's administrator.
func (s *scene) console(addr, command string) {
	s.Helper()
	dsn := servers.DSN(addr, "sslmode=require", "dbname=pgbouncer")
	if out, err := shared.lab.Psql(s.ctx, dsn, "-At", "-c", command).CombinedOutput(); err != nil {
		s.Fatalf("%s: %v, %s", command, err, out)
	}
}

func bouncerFaults() []fault {
	admin := []string{"admin_users = " + servers.User}
	return []fault{
		{
			name: "pgbouncer: the password is wrong", reason: "auth_rejected",
			cause: []string{`authentication failed`}, first: `password`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{})(s)
				s.options = []string{"password=wrong"}
				s.account = []string{"PGPASSFILE=" + s.passFile("wrong")}
			},
		},
		{
			name: "pgbouncer: the user is not in its list", reason: "auth_rejected",
			cause: []string{`no such user|authentication failed`},
			first: `user|auth_file|password`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{})(s)
				s.options, s.account = []string{"user=ghost"}, []string{"PGUSER=ghost"}
			},
		},
		{
			name: "pgbouncer: the database is not in its list", reason: "auth_rejected",
			cause: []string{`no such database`, `elsewhere`}, first: `database`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{Database: servers.Database})(s)
				s.options, s.account = []string{"dbname=elsewhere"}, []string{"PGDATABASE=elsewhere"}
			},
		},
		{
			name: "pgbouncer: the database is disabled", reason: "auth_rejected",
			cause: []string{`disabled`}, first: `ENABLE|enable`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				b := s.bouncer(servers.PgBouncerOptions{Settings: admin, Database: servers.Database})
				s.upstream = b.Addr
				s.console(b.Addr, "DISABLE "+servers.Database)
				s.cure = func() { s.console(b.Addr, "ENABLE "+servers.Database) }
			},
		},
		{
			name: "pgbouncer: the database is paused", reason: "login_timeout", ofAccount: true,
			cause: []string{`has authenticated the client`}, first: `behind`,
			hidden: map[surface]string{stunnel: "pgbouncer keeps the client waiting"},
			make: func(s *scene) {
				s.env = briefLogin()
				b := s.bouncer(servers.PgBouncerOptions{Settings: admin, Database: servers.Database})
				s.upstream = b.Addr
				s.console(b.Addr, "PAUSE "+servers.Database)
				s.cure = func() { s.console(b.Addr, "RESUME "+servers.Database) }
			},
		},
		{
			name: "pgbouncer: max_client_conn is reached", reason: "server_full",
			cause: []string{`max_client_conn`}, first: `max_client_conn|fewer`,
			serverSays: true, ofAccount: true, simulated: "The other client leaves.",
			make: func(s *scene) {
				b := s.bouncer(servers.PgBouncerOptions{Settings: []string{"max_client_conn = 1"}})
				s.upstream = b.Addr
				s.cure = s.holds(b.Addr, 1)
			},
		},
		{
			name: "pgbouncer: all connections of the pool are taken", reason: "pool_timeout",
			cause: []string{`query_wait_timeout`}, first: `pool|fewer`,
			serverSays: true, ofAccount: true, simulated: "The other client leaves.",
			make: func(s *scene) {
				b := s.bouncer(servers.PgBouncerOptions{Settings: []string{
					"default_pool_size = 1", "query_wait_timeout = 1", "min_pool_size = 0",
				}})
				s.upstream = b.Addr
				s.cure = s.holds(b.Addr, 1)
			},
		},
		{
			name: "pgbouncer: a parameter of the client is not supported", reason: "auth_rejected",
			cause: []string{`unsupported startup parameter`, `options`}, first: `ignore_startup_parameters`, serverSays: true,
			hidden: map[surface]string{check: "check sends no such parameter", pgbouncer: "it is the client of pgbouncer there"},
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{Settings: []string{"ignore_startup_parameters = extra_float_digits"}})(s)
				s.options = []string{"options='-c search_path=x'"}
			},
		},
		{
			// If query_wait_timeout is shorter, this is like a pool that is full.
			name: "pgbouncer: PostgreSQL behind it is down", reason: "login_timeout",
			cause: []string{`has authenticated the client`}, first: `behind`, ofAccount: true,
			make: func(s *scene) {
				s.env = briefLogin()
				pg := s.server(servers.PostgresOptions{})
				b, err := shared.lab.PgBouncer(s.ctx, pg, servers.PgBouncerOptions{Settings: []string{"server_login_retry = 1"}})
				s.do(err)
				s.Cleanup(b.Stop)
				pg.Stop()
				s.upstream = b.Addr
				s.cure = func() { s.do(pg.Start(s.ctx)) }
			},
		},
		{
			// Versions from 1.24 on have this limit.
			name: "pgbouncer: the user has too many clients", reason: "server_full", simulated: "The other client leaves.",
			cause: []string{`max_user_client_connections`}, first: `max_user_client_connections`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				g := s.gate(insideTLS(string(pgtest.ErrorResponse("08P01", "client connections exceeded (max_user_client_connections)"))))
				s.upstream, s.noPeers = g.Addr, true
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			// Newer versions than 1.18 say this at once.
			name: "pgbouncer: PostgreSQL has not let it in before", reason: "pool_timeout",
			cause: []string{`server_login_retry`}, first: `behind`, serverSays: true,
			make: func(s *scene) {
				g := s.gate(insideTLS(string(pgtest.ErrorResponse("08P01", "server login has been failing, try again later (server_login_retry)"))))
				s.upstream, s.noPeers = g.Addr, true
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "pgbouncer: auth_type=trust, and the user is not in its list", reason: "auth_rejected",
			cause: []string{`no such user|authentication failed`}, first: `auth_file|user`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{Settings: []string{"auth_type = trust"}})(s)
				s.options, s.account = []string{"user=ghost"}, []string{"PGUSER=ghost"}
			},
		},
		{
			name: "pgbouncer: a rule of its own rejects", reason: "auth_rejected",
			cause: []string{`login rejected`}, first: `auth_hba_file`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				rules := serverFile(s.T, "hba.conf", []byte("hostssl all all 10.0.0.0/8 scram-sha-256\n"))
				throughBouncer(servers.PgBouncerOptions{Settings: []string{"auth_type = hba", "auth_hba_file = " + rules}})(s)
			},
		},
		{
			name: "pgbouncer: its console is for others", reason: "auth_rejected",
			cause: []string{`not allowed`}, first: `admin_users`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{})(s)
				s.options, s.account = []string{"dbname=pgbouncer"}, []string{"PGDATABASE=pgbouncer"}
			},
		},
		{
			name: "pgbouncer: it reaches PostgreSQL without TLS", reason: "auth_rejected",
			cause: []string{`no pg_hba\.conf entry`, `no encryption`},
			first: `server_tls_sslmode`, serverSays: true, ofAccount: true,
			make: throughBouncer(servers.PgBouncerOptions{Settings: []string{"server_tls_sslmode = disable", "server_login_retry = 1"}}),
		},
		{
			name: "pgbouncer: its own configuration is wrong", reason: "auth_rejected",
			cause: []string{`bouncer config error`}, first: `pgbouncer`, serverSays: true, ofAccount: true,
			make: throughBouncer(servers.PgBouncerOptions{Settings: []string{"auth_type = any"}}),
		},
		{
			name: "pgbouncer: PostgreSQL does not let it in", reason: "auth_rejected",
			cause: []string{`password authentication failed|server login failed`},
			first: `behind|password|PostgreSQL`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{Users: map[string]string{servers.User: "stale"}, Settings: []string{
					"server_login_retry = 1", "query_wait_timeout = 2",
				}})(s)
				s.options, s.account = []string{"password=stale"}, []string{"PGPASSFILE=" + s.passFile("stale")}
			},
		},
	}
}
