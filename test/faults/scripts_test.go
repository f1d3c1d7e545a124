//go:build faults

package faults

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// handler is what a scripted server does with a connection. The gate closes it.
type handler func(*net.TCPConn)

// gate is a listener whose handler can be replaced.
type gate struct {
	Addr string

	mu    sync.Mutex
	serve handler
	conns map[net.Conn]bool
}

// gate starts one that lives as long as the test.
func (s *scene) gate(serve handler) *gate {
	s.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:"+s.port())
	if err != nil {
		s.Fatal(err)
	}
	g := &gate{Addr: ln.Addr().String(), serve: serve, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			g.conns[conn] = true
			serve := g.serve
			g.mu.Unlock()
			serving.Go(func() {
				defer g.end(conn)
				serve(conn.(*net.TCPConn))
			})
		}
	})
	s.Cleanup(func() {
		_ = ln.Close()
		g.mu.Lock()
		for conn := range g.conns {
			_ = conn.Close()
		}
		g.mu.Unlock()
		serving.Wait()
	})
	return g
}

func (g *gate) end(conn net.Conn) {
	_ = conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
}

// become replaces the handler.
func (g *gate) become(serve handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serve = serve
}

// hold waits until the client leaves.
func hold(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// silent never says anything.
func silent(conn *net.TCPConn) { hold(conn) }

// closes ends the connection behind the first n bytes.
func closes(n int64) handler {
	return func(conn *net.TCPConn) { _, _ = io.CopyN(io.Discard, conn, n) }
}

// resets is closes with a reset.
func resets(n int64) handler {
	return func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, n)
		_ = conn.SetLinger(0)
	}
}

// greets speaks first, and then only listens.
func greets(text string) handler {
	return func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, text)
		hold(conn)
	}
}

// answers says text after the first eight bytes, and ends the connection like a server that does not understand.
func answers(text string) handler {
	return func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, 8)
		_, _ = io.WriteString(conn, text)
		_ = conn.CloseWrite()
		hold(conn)
	}
}

// answersAndHolds is answers that does not end the connection.
func answersAndHolds(text string) handler {
	return func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, 8)
		_, _ = io.WriteString(conn, text)
		hold(conn)
	}
}

// relays passes everything on, in both directions.
func relays(upstream string) handler {
	return func(conn *net.TCPConn) {
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			return
		}
		splice(conn, server)
	}
}

// fronts answers SSLRequest, serves TLS and passes what is in it on to a PostgreSQL without TLS.
func fronts(config *tls.Config) handler {
	return func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, 8)
		_, _ = io.WriteString(conn, "S")
		inTLS(config, func(client *tls.Conn) {
			server, err := net.Dial("tcp", shared.plain.Addr)
			if err != nil {
				return
			}
			splice(client, server)
		})(conn)
	}
}

// inTLS serves TLS from the first byte.
func inTLS(config *tls.Config, serve func(*tls.Conn)) handler {
	return func(conn *net.TCPConn) {
		client := tls.Server(conn, config)
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if client.Handshake() != nil {
			return
		}
		_ = conn.SetDeadline(time.Time{})
		serve(client)
		_ = client.Close()
	}
}

// insideTLS answers SSLRequest, serves TLS with a good certificate, and says one of texts after each message of the
// client. Then it closes, unless the last text is empty: then it only listens.
func insideTLS(texts ...string) handler { return insideTLSOf(goodTLS, texts...) }

func insideTLSOf(config func() *tls.Config, texts ...string) handler {
	return func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, 8)
		_, _ = io.WriteString(conn, "S")
		inTLS(config(), func(client *tls.Conn) {
			for _, text := range texts {
				_, _ = client.Read(make([]byte, 4096))
				_, _ = io.WriteString(client, text)
				if text == "" {
					hold(client)
				}
			}
		})(conn)
	}
}

func splice(client, server net.Conn) {
	var relaying sync.WaitGroup
	relaying.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	relaying.Wait()
}

// serves is a configuration that serves a certificate.
func serves(pair *tlstest.Pair) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair.TLS()}, MinVersion: tls.VersionTLS12}
}

func goodTLS() *tls.Config { return serves(shared.lab.ServerCertificate(tlstest.P256)) }

// leaf is the certificate of a server of the Lab, for a test to change.
func leaf() tlstest.Leaf {
	return tlstest.Leaf{
		CommonName: servers.ServerName, DNSNames: []string{servers.ServerName, "localhost"},
		IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// bouncer starts a pgbouncer in front of the shared PostgreSQL.
func (s *scene) bouncer(o servers.PgBouncerOptions) *servers.PgBouncer {
	s.Helper()
	b, err := shared.lab.PgBouncer(s.ctx, shared.postgres, o)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(b.Stop)
	return b
}

// postgres starts a PostgreSQL of the fault's own.
func (s *scene) server(o servers.PostgresOptions) *servers.Postgres {
	s.Helper()
	pg, err := shared.lab.Postgres(s.ctx, o)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { pg.Stop() })
	return pg
}

// slowly is relays that lets the client wait for a second.
func slowly(upstream string) handler {
	return func(conn *net.TCPConn) {
		time.Sleep(time.Second)
		relays(upstream)(conn)
	}
}

// What stops a process without its knowledge, and lets it go on.
const (
	stopSignal     = syscall.SIGSTOP
	continueSignal = syscall.SIGCONT
)
