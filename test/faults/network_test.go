//go:build faults

package faults

import (
	"net"
	"strings"
	"sync"
	"syscall"

	"github.com/pgorigin/pgorigin/test/servers"
)

// full returns a listener that accepts nobody any more, because its backlog is full, and a function that ends it.
func (s *scene) full() (addr string, end func()) {
	s.Helper()
	addr = s.nobody()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	s.do(err)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	s.do(err)
	end = sync.OnceFunc(func() { _ = syscall.Close(fd) })
	s.Cleanup(end)
	s.do(syscall.Bind(fd, &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte{127, 0, 0, 1}}))
	s.do(syscall.Listen(fd, 0))
	conn, err := net.Dial("tcp", addr) // takes the only place
	s.do(err)
	s.Cleanup(func() { _ = conn.Close() })
	return addr, end
}

func networkFaults() []fault {
	right := func(s *scene) { s.set = map[string]string{"PGORIGIN_UPSTREAM_ADDR": shared.postgres.Addr} }
	runs := `\b(upstream|server|PostgreSQL).*\b(runs|running)\b|start`
	return []fault{
		{
			name: "nothing listens at the port", reason: "upstream_refused",
			cause: []string{`127\.0\.0\.1`, `refused`},
			first: runs + `|\bport\b.*PGORIGIN_UPSTREAM_ADDR`, peers: `running on that host`,
			make: func(s *scene) {
				s.upstream = s.nobody()
				s.cure = func() { s.upstream = shared.postgres.Addr }
			},
		},
		{
			name: "PostgreSQL is stopped", reason: "upstream_refused",
			cause: []string{`127\.0\.0\.1`, `refused`}, first: runs, peers: `running on that host`,
			make: func(s *scene) {
				pg := s.server(servers.PostgresOptions{})
				pg.Stop()
				s.upstream = pg.Addr
				s.cure = func() { s.do(pg.Start(s.ctx)) }
			},
		},
		{
			name: "both addresses of a name refuse", reason: "upstream_refused",
			cause: []string{`127\.0\.0\.1`, `refused`}, first: runs, peers: `running on that host`,
			make: func(s *scene) {
				s.upstream = "localhost:" + s.port()
				s.cure = func() { s.upstream = shared.postgres.Addr }
			},
		},
		{
			name: "no route leads there", reason: "upstream_unreachable",
			cause: []string{`224\.0\.0\.7`, `unreachable|no route`},
			first: `PGORIGIN_UPSTREAM_ADDR|route|network`, peers: `running on that host`,
			make: func(s *scene) {
				s.upstream = "224.0.0.7:5432" // Linux has no route for TCP to a multicast address, on any machine
				right(s)
			},
		},
		{
			name: "a firewall drops packets to the port", reason: "upstream_timeout",
			cause: []string{`127\.0\.0\.1`, `no TCP connection|timed? ?out`},
			first: `firewall|network polic`, peers: `firewall`,
			simulated: "A listener whose queue is full drops packets, too. It goes away.",
			make: func(s *scene) {
				s.brief = true
				addr, end := s.full()
				s.upstream = addr
				s.cure = func() {
					end()
					s.upstream = shared.postgres.Addr
				}
			},
		},
		{
			name: "the port accepts and says nothing", reason: "upstream_silent",
			cause: []string{`127\.0\.0\.1`, `no answer|not answer|silent`},
			first: `PGORIGIN_UPSTREAM_ADDR|hang|hung|Postgres port`,
			make: func(s *scene) {
				s.brief = true
				s.upstream = s.gate(silent).Addr
				right(s)
			},
		},
		{
			// A machine that hangs before it was verified is like a port that says nothing.
			name: "the server's machine hangs, and has worked before", reason: "upstream_silent",
			cause: []string{`127\.0\.0\.1`, `no answer|not answer|silent`},
			first: `hang|hung`, simulated: "The machine goes on.",
			hidden: map[surface]string{check: "check starts afresh"},
			make: func(s *scene) {
				s.brief = true
				pg := s.server(servers.PostgresOptions{})
				s.upstream = pg.Addr
				s.Cleanup(func() { _ = pg.Signal(continueSignal) })
				s.before = func(origin *servers.Origin) {
					s.do(shared.lab.Psql(s.ctx, servers.DSN(origin.Addr), "-c", "SELECT 1").Run())
					s.do(pg.Signal(stopSignal))
				}
				s.cure = func() { s.do(pg.Signal(continueSignal)) }
			},
		},
		{
			name: "the connection is closed before an answer", reason: "upstream_gone",
			cause: []string{`127\.0\.0\.1`, `closed|EOF`},
			first: `PGORIGIN_UPSTREAM_ADDR|log of the (upstream|server)|upstream's log`,
			make: func(s *scene) {
				g := s.gate(closes(8))
				s.upstream = g.Addr
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "the connection is reset before an answer", reason: "upstream_gone",
			cause: []string{`127\.0\.0\.1`, `reset`},
			first: `PGORIGIN_UPSTREAM_ADDR|log of the (upstream|server)|upstream's log`,
			make: func(s *scene) {
				g := s.gate(resets(8))
				s.upstream = g.Addr
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "a load balancer has no server behind it", reason: "upstream_gone",
			simulated: "The load balancer gets a server.",
			cause:     []string{`127\.0\.0\.1`, `closed|EOF|reset`},
			first:     `PGORIGIN_UPSTREAM_ADDR|log of the (upstream|server)|upstream's log`,
			make: func(s *scene) {
				g := s.gate(closes(0))
				s.upstream = g.Addr
				s.cure = func() { g.become(relays(shared.postgres.Addr)) }
			},
		},
		{
			name: "the server answers too slowly", reason: "upstream_silent",
			cause: []string{`127\.0\.0\.1`, `no answer|not answer|silent`, `300ms`}, first: `PGORIGIN_DIAL_TIMEOUT`,
			make: func(s *scene) {
				s.upstream = s.gate(slowly(shared.postgres.Addr)).Addr
				s.env = []string{"PGORIGIN_DIAL_TIMEOUT=300ms"}
				s.set = map[string]string{"PGORIGIN_DIAL_TIMEOUT": "9s"}
			},
		},
		{
			name: "one of two hosts refuses, the other is silent", reason: "upstream_silent",
			cause: []string{`no answer`}, first: `PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) {
				s.brief, s.noPeers = true, true
				s.upstream = strings.Join([]string{s.nobody(), s.gate(silent).Addr}, ",")
				right(s)
			},
		},
	}
}
