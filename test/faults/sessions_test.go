//go:build faults

package faults

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
)

// sleeps is a query that is still running when its session ends.
const sleeps = "SELECT pg_sleep(60)"

// ending is a session at a PostgreSQL of its own, which ends while it runs sleeps.
func ending(end func(*scene, *servers.Postgres)) func(*scene) {
	return func(s *scene) {
		pg := s.server(servers.PostgresOptions{})
		s.upstream, s.sql, s.noPeers = pg.Addr, sleeps, true
		s.running = func(*servers.Origin) {
			s.awaitQuery(pg)
			end(s, pg)
		}
		s.cure = func() {
			select {
			case <-pg.Ended():
				s.do(pg.Start(s.ctx))
			default:
				s.do(servers.Poll(s.ctx, func() error { // it may be recovering
					_, err := pg.Exec(s.ctx, "SELECT 1")
					return err
				}))
			}
		}
	}
}

// awaitQuery waits until the judged session runs its query.
func (s *scene) awaitQuery(pg *servers.Postgres) {
	s.Helper()
	s.do(servers.Poll(s.ctx, func() error {
		out, err := pg.Exec(s.ctx, "SELECT pid FROM pg_stat_activity WHERE application_name = '"+s.application()+"' AND state = 'active'")
		if err == nil && out == "" {
			err = io.ErrNoProgress
		}
		return err
	}))
}

// over are the surfaces that do not meet a session that has ended.
func over() map[surface]string { return map[surface]string{check: "the session is over"} }

func sessionFaults() []fault {
	again := `connect again|start`
	stop := func(sig syscall.Signal) func(*scene, *servers.Postgres) {
		return func(s *scene, pg *servers.Postgres) {
			s.do(pg.Signal(sig))
			<-pg.Ended()
		}
	}
	execute := func(sql string) func(*scene, *servers.Postgres) {
		return func(s *scene, pg *servers.Postgres) { _, _ = pg.Exec(s.ctx, sql) } // the server may end with it
	}
	const judged = " FROM pg_stat_activity WHERE application_name LIKE 'judged%'"
	kill := func(which string) func(*scene, *servers.Postgres) {
		return func(s *scene, pg *servers.Postgres) {
			pid, err := pg.Exec(s.ctx, which)
			s.do(err)
			s.do(exec.CommandContext(s.ctx, "kill", "-9", pid).Run())
		}
	}
	administrator := []string{`administrator command`}
	return append([]fault{
		{
			name: "an administrator ends the session", reason: "upstream_shutdown", cause: administrator, first: again,
			serverSays: true, hidden: over(),
			make: ending(execute("SELECT pg_terminate_backend(pid)" + judged)),
		},
		{
			name: "PostgreSQL shuts down: fast", reason: "upstream_shutdown", cause: administrator, first: again,
			serverSays: true, hidden: over(), make: ending(stop(syscall.SIGINT)),
		},
		{
			name: "PostgreSQL shuts down: immediate", reason: "upstream_shutdown",
			cause: []string{`immediate shutdown|crash`}, first: again,
			serverSays: true, hidden: over(), make: ending(stop(syscall.SIGQUIT)),
		},
		{
			name: "another session crashes PostgreSQL", reason: "upstream_shutdown",
			cause: []string{`crash of another server process`}, first: again,
			serverSays: true, hidden: over(),
			make: ending(kill("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")),
		},
		{
			name: "the session itself crashes PostgreSQL", reason: "upstream_gone", cause: []string{`closed|EOF`},
			first: again + `|log`, simulated: "PostgreSQL recovers by itself.",
			hidden: over(), make: ending(kill("SELECT pid" + judged)),
		},
		{
			name: "the session is idle for too long", reason: "upstream_gone",
			cause: []string{`idle-session timeout`}, first: `idle_session_timeout`, serverSays: true, hidden: over(),
			make: func(s *scene) {
				s.upstream, s.noPeers = shared.postgres.Addr, true
				s.sql = "SET idle_session_timeout = 200\n\\! sleep 1\nSELECT 1"
			},
		},
		{
			name: "a transaction is idle for too long", reason: "upstream_gone",
			cause: []string{`idle-in-transaction timeout`},
			first: `idle_in_transaction_session_timeout|transaction`, serverSays: true, hidden: over(),
			make: func(s *scene) {
				s.upstream, s.noPeers = shared.postgres.Addr, true
				s.sql = "SET idle_in_transaction_session_timeout = 200\nBEGIN\n\\! sleep 1\nSELECT 1"
			},
		},
		{
			name: "a standby has to replay what the session reads", reason: "upstream_gone",
			cause: []string{`conflict with recovery`}, first: `again|max_standby`, serverSays: true, hidden: over(),
			make: func(s *scene) {
				g := s.gate(insideTLS(string(pgtest.Login("\x00\x00\x00\x01\x00\x00\x00\x02")), string(pgtest.Message('E',
					"SFATAL\x00VFATAL\x00C40001\x00Mterminating connection due to conflict with recovery\x00"+
						"DUser was holding shared buffer pin for too long.\x00\x00"))))
				s.upstream, s.noPeers = g.Addr, true
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "pgbouncer: the client is idle for too long", reason: "upstream_gone",
			cause: []string{`client_idle_timeout`}, first: `client_idle_timeout`, serverSays: true, hidden: over(),
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{PoolMode: "transaction", Settings: []string{"client_idle_timeout = 1"}})(s)
				s.noPeers, s.sql = true, "SELECT 1\n\\! sleep 3\nSELECT 1"
			},
		},
		{
			name: "pgbouncer: a transaction is idle for too long", reason: "upstream_gone",
			cause: []string{`idle.transaction.timeout`},
			first: `idle_transaction_timeout|transaction`, serverSays: true, hidden: over(),
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{Settings: []string{"idle_transaction_timeout = 1"}})(s)
				s.noPeers, s.sql = true, "BEGIN\n\\! sleep 3\nSELECT 1"
			},
		},
		{
			name: "pgbouncer: a query takes too long", reason: "upstream_gone",
			cause: []string{`query_timeout|query timeout`}, first: `query_timeout`, serverSays: true, hidden: over(),
			make: func(s *scene) {
				throughBouncer(servers.PgBouncerOptions{Settings: []string{"query_timeout = 1"}})(s)
				s.noPeers, s.sql = true, sleeps
			},
		},
	}, networkEnds()...)
}

// networkEnds are ends of the connection below Postgres.
func networkEnds() []fault {
	return []fault{
		{
			name: "the connection of a session is reset", reason: "upstream_gone", cause: []string{`reset`},
			first:  `connect again|log`,
			hidden: over(),
			make: func(s *scene) {
				g := s.gate(nil)
				reset := make(chan struct{})
				g.become(func(conn *net.TCPConn) {
					go func() {
						<-reset
						_ = conn.SetLinger(0)
						_ = conn.Close()
					}()
					relays(shared.postgres.Addr)(conn)
				})
				s.upstream, s.noPeers, s.sql = g.Addr, true, "SELECT pg_sleep(20)"
				s.running = func(*servers.Origin) {
					s.awaitQuery(shared.postgres)
					close(reset)
				}
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "the network vanishes below a session", reason: "upstream_lost",
			cause: []string{`acknowledged|answer|lost|timed out`}, first: `connect again|network`,
			hidden: over(),
			make: func(s *scene) {
				if exec.CommandContext(s.ctx, "iptables", "-L", "-n").Run() != nil {
					s.Fatal("a network that drops packets needs root and iptables")
				}
				g := s.gate(relays(shared.postgres.Addr))
				s.upstream, s.noPeers, s.sql = g.Addr, true, "SELECT pg_sleep(5)\nSELECT 1"
				port := g.Addr[strings.LastIndex(g.Addr, ":")+1:]
				rules := func(change string) error {
					var errs []error
					for _, side := range []string{"--dport", "--sport"} {
						args := []string{change, "INPUT", "-i", "lo", "-p", "tcp", side, port, "-j", "DROP"}
						errs = append(errs, exec.CommandContext(context.WithoutCancel(s.ctx), "iptables", args...).Run())
					}
					return errors.Join(errs...)
				}
				repair := sync.OnceFunc(func() { _ = rules("-D") })
				s.Cleanup(repair)
				s.running = func(*servers.Origin) {
					s.awaitQuery(shared.postgres)
					s.do(rules("-A"))
				}
				s.cure = repair
			},
		},
	}
}
