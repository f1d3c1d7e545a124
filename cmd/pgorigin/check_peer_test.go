package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// scripted is an upstream on loopback. It follows a script and records everything that it receives.
type scripted struct {
	addr string

	ln      net.Listener
	serving sync.WaitGroup
	mu      sync.Mutex
	streams []*bytes.Buffer
}

// recorded is a connection of a scripted upstream.
type recorded struct {
	net.Conn
	stream *bytes.Buffer
}

func (r recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.stream.Write(p[:n])
	return n, err
}

// startScripted serves every connection with script. It reads and records what script leaves unread.
func startScripted(t *testing.T, script func(net.Conn)) *scripted {
	t.Helper()
	return startScriptedOn(t, cmdtest.FreeAddr(t), script)
}

func startScriptedOn(t *testing.T, addr string, script func(net.Conn)) *scripted {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: ln.Addr().String(), ln: ln}
	s.serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r := recorded{conn, new(bytes.Buffer)}
			s.mu.Lock()
			s.streams = append(s.streams, r.stream)
			s.mu.Unlock()
			s.serving.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(cmdtest.Patience))
				script(r)
				io.Copy(io.Discard, r)
			})
		}
	})
	t.Cleanup(func() { s.end() })
	return s
}

// end stops listening and returns what each connection received.
func (s *scripted) end() [][]byte {
	s.ln.Close()
	s.serving.Wait()
	var streams [][]byte
	for _, stream := range s.streams {
		streams = append(streams, stream.Bytes())
	}
	return streams
}

// onlyTLS reports whether a stream is SSLRequest and complete TLS records, either alone, or empty.
func onlyTLS(stream []byte) bool {
	rest := bytes.TrimPrefix(stream, pgtest.SSLRequest())
	for len(rest) > 0 {
		if len(rest) < 5 || rest[0] < 20 || rest[0] > 23 || rest[1] != 3 {
			return false
		}
		length := 5 + int(binary.BigEndian.Uint16(rest[3:]))
		if length > len(rest) {
			return false
		}
		rest = rest[length:]
	}
	return true
}

// refusingAddr returns an address on which nothing listens, and no test that runs beside will.
func refusingAddr(t *testing.T) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(cmdtest.FreeAddr(t))
	return "127.0.0.46:" + port
}

// readsSSLRequest reports whether SSLRequest comes. It ends a connection on which TLS begins at once, as servers
// do that know no direct TLS.
func readsSSLRequest(conn net.Conn) bool {
	if cmdtest.ReadStartup(conn) == nil {
		return true
	}
	conn.(recorded).Conn.(*net.TCPConn).CloseWrite()
	return false
}

// answersSSL answers SSLRequest and does nothing more.
func answersSSL(reply string) func(net.Conn) {
	return func(conn net.Conn) {
		if readsSSLRequest(conn) {
			io.WriteString(conn, reply)
		}
	}
}

// overTLS accepts TLS, reads a startup packet and sends reply.
func overTLS(config *tls.Config, reply ...[]byte) func(net.Conn) {
	return func(raw net.Conn) {
		if !readsSSLRequest(raw) {
			return
		}
		io.WriteString(raw, "S")
		conn := tls.Server(raw, config)
		if cmdtest.ReadStartup(conn) != nil {
			return
		}
		conn.Write(bytes.Join(reply, nil))
		io.Copy(io.Discard, conn)
	}
}

// swallowing is overTLS behind a box that drops a ClientHello longer than 1000 bytes.
func swallowing(config *tls.Config, reply ...[]byte) func(net.Conn) {
	return func(raw net.Conn) {
		if !readsSSLRequest(raw) {
			return
		}
		io.WriteString(raw, "S")
		head := make([]byte, 5)
		if _, err := io.ReadFull(raw, head); err != nil {
			return
		}
		size := int(binary.BigEndian.Uint16(head[3:]))
		if len(head)+size > 1000 {
			return
		}
		conn := tls.Server(rereadable{raw, io.MultiReader(bytes.NewReader(head), raw)}, config)
		if cmdtest.ReadStartup(conn) != nil {
			return
		}
		conn.Write(bytes.Join(reply, nil))
		io.Copy(io.Discard, conn)
	}
}

// rereadable is a connection that is read through another reader.
type rereadable struct {
	net.Conn
	from io.Reader
}

func (r rereadable) Read(p []byte) (int, error) { return r.from.Read(p) }

// checkWorld is a CA and a good server configuration.
type checkWorld struct {
	ca   *tlstest.CA
	good *tls.Config
}

func newCheckWorld() checkWorld {
	ca := tlstest.NewCA("Check Root", tlstest.P256)
	return checkWorld{ca, certified(ca.Issue(tlstest.Leaf{DNSNames: []string{"db.test"}}))}
}

func certified(pair *tlstest.Pair) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
}

// env is the configuration for an upstream at addr.
func (w checkWorld) env(addr string, more ...string) []string {
	return append([]string{
		"PGORIGIN_UPSTREAM_ADDR=" + addr,
		"PGORIGIN_TLS_SERVER_NAME=db.test",
		"PGORIGIN_TLS_CA_PEM=" + string(w.ca.PEM()),
		"PGORIGIN_DIAL_TIMEOUT=30s",                                        // on a busy machine, too
		"PGORIGIN_LISTEN_ADDR=127.0.0.44:6432", "PGORIGIN_HEALTH_ADDR=off", // nobody is there
	}, more...)
}

// sasl is PostgreSQL's offer of SCRAM.
func sasl() []byte { return pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256") }
