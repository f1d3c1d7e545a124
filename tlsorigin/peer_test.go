package tlsorigin

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// testName is the server name in tests that are not about names.
const testName = "db.test"

// peer is an upstream on loopback that follows a script and records every byte that it receives.
type peer struct {
	addr string
	got  chan []byte // all that one connection received, sent when it ends
}

// startPeer serves connections by script until the test ends. What the script leaves unread is read and recorded.
func startPeer(t *testing.T, script func(net.Conn)) *peer {
	t.Helper()
	ln := listen(t, "127.0.0.1")
	p := &peer{addr: ln.Addr().String(), got: make(chan []byte, 16)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				got := serve(conn, script)
				select {
				case p.got <- got:
				default: // of so many connections nobody wants to know
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return p
}

// listen listens on a free port of host below the range that the kernel takes for outgoing connections.
func listen(t *testing.T, host string) net.Listener {
	t.Helper()
	var err error
	for range 100 {
		var ln net.Listener
		port := 20000 + rand.IntN(12000)
		if ln, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			return ln
		}
	}
	t.Fatalf("no free port: %v", err)
	return nil
}

func serve(conn net.Conn, script func(net.Conn)) []byte {
	defer conn.Close()
	rec := &recorder{Conn: conn}
	conn.SetDeadline(time.Now().Add(20 * time.Second)) // a test that goes wrong must not hang
	script(rec)
	io.Copy(io.Discard, rec)
	return rec.got.Bytes()
}

// received returns what the next connection to end has received.
func (p *peer) received(t *testing.T) []byte {
	t.Helper()
	select {
	case got := <-p.got:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("the peer's connection was not closed")
		return nil
	}
}

type recorder struct {
	net.Conn
	got bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.got.Write(p[:n])
	return n, err
}

// reset closes the connection so that the other side sees RST.
func reset(conn net.Conn) {
	conn.(*recorder).Conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// answer reads SSLRequest and writes reply in one segment.
func answer(conn net.Conn, reply string) bool {
	var request [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil || string(request[:]) != sslRequest {
		return false
	}
	_, err := io.WriteString(conn, reply)
	return err == nil
}

// answers returns a script that replies to SSLRequest and nothing more.
func answers(reply string) func(net.Conn) {
	return func(conn net.Conn) { answer(conn, reply) }
}

// readHello reads the ClientHello, which is one record.
func readHello(conn net.Conn) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(conn, header); err != nil {
		return
	}
	io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(header[3:])))
}

// speaksTLS returns a script that accepts TLS and echoes what it receives.
func speaksTLS(config *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		if !answer(conn, "S") {
			return
		}
		server := tls.Server(conn, config)
		if server.Handshake() == nil {
			io.Copy(server, server)
			server.Close()
		}
	}
}

// presents returns a script that presents pair and echoes.
func presents(pair *tlstest.Pair) func(net.Conn) { return speaksTLS(serverConfig(pair)) }

func serverConfig(pair *tlstest.Pair) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
}

// checkOnlyTLS fails unless stream is SSLRequest followed by nothing but whole TLS records. What a startup packet
// would begin with (a length below 2^24) is no record.
func checkOnlyTLS(t *testing.T, stream []byte) {
	t.Helper()
	if err := onlyTLS(stream); err != nil {
		t.Errorf("the peer received something that is neither SSLRequest nor TLS: %v", err)
	}
}

func onlyTLS(stream []byte) error {
	if len(stream) == 0 {
		return nil // the peer did not even wait for SSLRequest
	}
	rest, ok := bytes.CutPrefix(stream, []byte(sslRequest))
	if !ok {
		return fmt.Errorf("begins with %x", stream[:min(8, len(stream))])
	}
	for len(rest) > 0 {
		if len(rest) < 5 || rest[0] < 20 || rest[0] > 23 || rest[1] != 3 {
			return fmt.Errorf("record begins with %x", rest[:min(5, len(rest))])
		}
		length := 5 + int(binary.BigEndian.Uint16(rest[3:]))
		if length > len(rest) {
			return errors.New("a record is cut")
		}
		rest = rest[length:]
	}
	return nil
}

// newTestDialer returns a Dialer for addr that trusts ca and expects testName, changed by change.
func newTestDialer(t testing.TB, ca *tlstest.CA, change func(*Config), addrs ...string) *Dialer {
	t.Helper()
	cfg := Config{Addrs: addrs, ServerName: testName, CAPEM: string(ca.PEM())}
	if change != nil {
		change(&cfg)
	}
	d, err := NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dialFailure dials and returns the *Error that comes of it.
func dialFailure(t *testing.T, d *Dialer) *Error {
	t.Helper()
	conn, err := d.Dial(t.Context(), nil)
	if err == nil {
		conn.Close()
		t.Fatal("Dial succeeded")
	}
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("Dial returned a %T (%v), want an *Error", err, err)
	}
	return failure
}

// checkEcho fails unless conn carries bytes both ways.
func checkEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Fatalf("write: %v", err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func writeFile(t *testing.T, path string, data []byte, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	return path
}
