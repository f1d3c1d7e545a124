//go:build faults

package faults

import (
	"syscall"

	"github.com/pgorigin/pgorigin/test/servers"
)

// accountsSQL makes accounts and databases that cannot be used.
const accountsSQL = `
CREATE ROLE nologin NOLOGIN PASSWORD '` + servers.Password + `';
CREATE ROLE limited LOGIN PASSWORD '` + servers.Password + `' CONNECTION LIMIT 0;
CREATE ROLE outdated LOGIN PASSWORD '` + servers.Password + `' VALID UNTIL '2020-01-01';
CREATE DATABASE limited CONNECTION LIMIT 0;
CREATE DATABASE closed;
ALTER DATABASE closed ALLOW_CONNECTIONS false;
CREATE DATABASE private;
REVOKE CONNECT ON DATABASE private FROM PUBLIC;
`

// login is a fault of an account. The server itself tells the client. The cure is the usual account.
func login(name, reason string, cause []string, first, user, database, password string) fault {
	return fault{
		name: name, reason: reason, cause: cause, first: first, serverSays: true, ofAccount: true,
		make: func(s *scene) {
			s.upstream = shared.postgres.Addr
			if user != "" {
				s.options = append(s.options, "user="+user)
				s.account = append(s.account, "PGUSER="+user)
			}
			if database != "" {
				s.options = append(s.options, "dbname="+database)
				s.account = append(s.account, "PGDATABASE="+database)
			}
			if password != "" {
				s.options = append(s.options, "password="+password)
				s.account = append(s.account, "PGPASSFILE="+s.passFile(password))
			}
			s.cure = func() { s.options = nil }
		},
	}
}

// hba is a PostgreSQL with rules of its own. The cure is a rule that lets the client in.
func hba(rules string) func(*scene) {
	return func(s *scene) {
		pg := s.server(servers.PostgresOptions{HBA: "local all all trust\n" + rules})
		s.upstream = pg.Addr
		s.cure = func() {
			s.do(pg.Write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"))
			pg.Stop()
			s.do(pg.Start(s.ctx))
		}
	}
}

// holds keeps sessions open at a server, and returns a function that ends them.
func (s *scene) holds(addr string, n int, options ...string) (release func()) {
	s.Helper()
	var held []*servers.Process
	dsn := servers.DSN(addr, append([]string{"sslmode=require", "application_name=holder"}, options...)...)
	for range n {
		p, err := shared.lab.Start("holder", shared.lab.Psql(s.ctx, dsn, "-At", "-c", "SELECT 'held'", "-c", `\! sleep 300`))
		s.do(err)
		s.do(p.Await(s.ctx, "held"))
		held = append(held, p)
	}
	release = func() {
		for _, p := range held {
			_ = p.Signal(syscall.SIGKILL) // it may have ended
			<-p.Ended()
		}
	}
	s.Cleanup(release)
	return release
}

// full is a PostgreSQL all of whose slots are taken.
func fullPostgres(held int, settings ...string) func(*scene) {
	return func(s *scene) {
		pg := s.server(servers.PostgresOptions{Settings: append(settings, "max_wal_senders = 0")})
		s.upstream = pg.Addr
		s.cure = s.holds(pg.Addr, held)
	}
}

func loginFaults() []fault {
	fewer := `close connections|fewer|max_connections|limit`
	return append([]fault{
		login("the password is wrong", "auth_rejected",
			[]string{`password authentication failed`, `\bapp\b`}, `password`, "", "", "wrong"),
		login("the user does not exist", "auth_rejected", []string{`\bghost\b`}, `\buser\b|password`, "ghost", "", ""),
		login("the user may not log in", "auth_rejected",
			[]string{`nologin`, `not permitted to log in`}, `LOGIN|role|user`, "nologin", "", ""),
		login("the password is out of date", "auth_rejected",
			[]string{`password authentication failed`}, `password`, "outdated", "", ""),
		login("the database does not exist", "auth_rejected",
			[]string{`\bnowhere\b`, `not exist`}, `database`, "", "nowhere", ""),
		login("the database takes no connections", "auth_rejected",
			[]string{`\bclosed\b`, `not currently accepting`}, `database`, "", "closed", ""),
		login("the user may not connect to the database", "auth_rejected",
			[]string{`\bprivate\b`, `permission denied`}, `CONNECT|database|privilege|permission`, "", "private", ""),
		login("the user has too many connections", "server_full",
			[]string{`too many connections for role`, `limited`}, fewer, "limited", "", ""),
		login("the database has too many connections", "server_full",
			[]string{`too many connections for database`, `limited`}, fewer, "", "limited", ""),
		{
			name: "all slots of PostgreSQL are taken", reason: "server_full",
			cause: []string{`too many clients`}, first: fewer, serverSays: true, peers: `pg_stat_activity`,
			simulated: "The other clients leave.", make: fullPostgres(1, "max_connections = 1", "superuser_reserved_connections = 0"),
		},
		{
			name: "only reserved slots are left", reason: "server_full", ofAccount: true,
			cause: []string{`remaining connection slots`}, first: fewer, serverSays: true,
			simulated: "The other clients leave.", make: fullPostgres(1, "max_connections = 4", "superuser_reserved_connections = 3"),
		},
		{
			name: "no rule of pg_hba.conf fits", reason: "auth_rejected",
			cause: []string{`no pg_hba\.conf entry`}, first: `pg_hba`, serverSays: true, ofAccount: true,
			make: hba("hostssl all all 10.0.0.0/8 scram-sha-256\n"),
		},
		{
			name: "a rule of pg_hba.conf rejects", reason: "auth_rejected",
			cause: []string{`pg_hba\.conf rejects`}, first: `pg_hba`, serverSays: true, ofAccount: true,
			make: hba("hostssl all all 127.0.0.1/32 reject\n"),
		},
		{
			name: "the client asks for a setting that does not exist", reason: "auth_rejected",
			cause: []string{`nosuch`, `unrecognized configuration parameter`},
			first: `parameter|option|setting`, serverSays: true,
			hidden: map[surface]string{check: "check asks for no setting"},
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.options = []string{"options='-c nosuch=1'"}
				s.cure = func() { s.options = nil }
			},
		},
		{
			name: "the user may not replicate", reason: "auth_rejected",
			cause: []string{`replication`}, first: `REPLICATION`,
			serverSays: true, hidden: map[surface]string{check: "check does not replicate"},
			make: func(s *scene) {
				pg := s.server(servers.PostgresOptions{})
				s.upstream, s.options = pg.Addr, []string{"replication=database"}
				s.cure = func() {
					_, err := pg.Exec(s.ctx, "ALTER ROLE app REPLICATION")
					s.do(err)
				}
			},
		},
		{
			name: "all slots of replication are taken", reason: "server_full",
			cause: []string{`standby connections|max_wal_senders`}, first: `max_wal_senders`, serverSays: true,
			hidden: map[surface]string{check: "check does not replicate"},
			make: func(s *scene) {
				pg := s.server(servers.PostgresOptions{Settings: []string{"max_wal_senders = 0"}})
				_, err := pg.Exec(s.ctx, "ALTER ROLE app REPLICATION")
				s.do(err)
				s.upstream, s.options = pg.Addr, []string{"replication=database"}
				s.cure = func() {
					_, err := pg.Exec(s.ctx, "ALTER SYSTEM SET max_wal_senders = 5")
					s.do(err)
					pg.Stop()
					s.do(pg.Start(s.ctx))
				}
			},
		},
		{
			name: "the user does not exist, and nobody is asked for a password", reason: "auth_rejected",
			cause: []string{`\bghost\b`, `not exist`}, first: `\buser\b`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				s.upstream = s.server(servers.PostgresOptions{HBA: "local all all trust\nhostssl all all 127.0.0.1/32 trust\n"}).Addr
				s.options, s.account = []string{"user=ghost"}, []string{"PGUSER=ghost"}
				s.cure = func() { s.options = nil }
			},
		},
	}, statesOfPostgres()...)
}

// statesOfPostgres are states in which a server lets nobody in.
func statesOfPostgres() []fault {
	standby := func(s *scene, ready string, settings ...string) {
		pg := s.server(servers.PostgresOptions{Settings: settings, Files: map[string]string{"standby.signal": "\n"}, Ready: ready})
		s.upstream = pg.Addr
		s.cure = func() {
			pg.Stop()
			s.do(pg.Write("standby.signal", ""))
			pg.Settle()
			s.do(pg.Start(s.ctx))
		}
	}
	return []fault{
		{
			name: "PostgreSQL is starting", reason: "server_starting",
			cause: []string{`starting up`}, first: `wait|until`, serverSays: true, simulated: "The recovery ends.",
			make: func(s *scene) {
				standby(s, "starting PostgreSQL", "restore_command = 'sleep 600'")
			},
		},
		{
			name: "PostgreSQL is a standby that takes nobody", reason: "server_starting",
			cause: []string{`not accepting connections|not yet accepting`},
			first: `wait|hot_standby|until|primary`, serverSays: true,
			simulated: "The standby becomes a primary.",
			make:      func(s *scene) { standby(s, "entering standby mode", "hot_standby = off") },
		},
		{
			name: "PostgreSQL waits for its last clients", reason: "upstream_shutdown",
			cause: []string{`shutting down`}, first: `start|again|wait`, serverSays: true,
			make: func(s *scene) {
				pg := s.server(servers.PostgresOptions{})
				s.upstream = pg.Addr
				release := s.holds(pg.Addr, 1)
				s.do(pg.Signal(syscall.SIGTERM))
				s.do(pg.Await(s.ctx, "smart shutdown request"))
				s.cure = func() {
					release()
					<-pg.Ended()
					s.do(pg.Start(s.ctx))
				}
			},
		},
	}
}
