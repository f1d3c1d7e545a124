// Package peertest has upstreams on loopback that follow a script, for tests. A script gets a connection on
// which nothing has been read.
package peertest

import (
	"bytes"
	"context"
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

// SSLRequest is the message that asks for TLS.
const SSLRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// Name is the server name in tests that are not about names.
const Name = "db.test"

// Peer is an upstream on loopback that follows a script and records every byte that it receives.
type Peer struct {
	Addr string
	Got  chan []byte // all that one connection received, sent when it ends
}

// Start serves connections by script until the test ends. What the script leaves unread is read and recorded.
func Start(t *testing.T, script func(net.Conn)) *Peer {
	t.Helper()
	ln := Listen(t, "127.0.0.1")
	p := &Peer{Addr: ln.Addr().String(), Got: make(chan []byte, 16)}
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
				case p.Got <- got:
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

// Listen listens on a free port of host below the range that the kernel takes for outgoing connections.
func Listen(t *testing.T, host string) net.Listener {
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
	rec := &Recorder{Conn: conn}
	conn.SetDeadline(time.Now().Add(20 * time.Second)) // a test that goes wrong must not hang
	script(rec)
	io.Copy(io.Discard, rec)
	return rec.got.Bytes()
}

// Received returns what the next connection to end has received.
func (p *Peer) Received(t *testing.T) []byte {
	t.Helper()
	select {
	case got := <-p.Got:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("the Peer's connection was not closed")
		return nil
	}
}

// Recorder is a connection of a script. It records what it reads.
type Recorder struct {
	net.Conn
	got bytes.Buffer
}

func (r *Recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.got.Write(p[:n])
	return n, err
}

// Reset closes the connection so that the other side sees RST.
func Reset(conn net.Conn) {
	conn.(*Recorder).Conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// Answer reads SSLRequest and writes reply in one segment.
func Answer(conn net.Conn, reply string) bool {
	var request [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil || string(request[:]) != SSLRequest {
		return false
	}
	_, err := io.WriteString(conn, reply)
	return err == nil
}

// Answers returns a script that replies to SSLRequest and nothing more.
func Answers(reply string) func(net.Conn) {
	return func(conn net.Conn) { Answer(conn, reply) }
}

// ReadHello reads the ClientHello, which is one record.
func ReadHello(conn net.Conn) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(conn, header); err != nil {
		return
	}
	io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(header[3:])))
}

// SpeaksTLS returns a script that accepts TLS and echoes what it receives.
func SpeaksTLS(config *tls.Config) func(net.Conn) {
	return func(conn net.Conn) {
		if !Answer(conn, "S") {
			return
		}
		server := tls.Server(conn, config)
		if server.Handshake() == nil {
			io.Copy(server, server)
			server.Close()
		}
	}
}

// Presents returns a script that Presents pair and echoes.
func Presents(pair *tlstest.Pair) func(net.Conn) { return SpeaksTLS(ServerConfig(pair)) }

// ServerConfig returns the configuration of a server that presents pair.
func ServerConfig(pair *tlstest.Pair) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
}

// CheckOnlyTLS fails unless stream is SSLRequest followed by nothing but whole TLS records. What a startup
// packet would begin with (a length below 2^24) is no record.
func CheckOnlyTLS(t *testing.T, stream []byte) {
	t.Helper()
	if err := OnlyTLS(stream); err != nil {
		t.Errorf("the Peer received something that is neither SSLRequest nor TLS: %v", err)
	}
}

// OnlyTLS returns an error unless stream is SSLRequest followed by nothing but whole TLS records.
func OnlyTLS(stream []byte) error {
	if len(stream) == 0 {
		return nil // the Peer did not even wait for SSLRequest
	}
	rest, ok := bytes.CutPrefix(stream, []byte(SSLRequest))
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

// CheckEcho fails unless conn carries bytes both ways.
func CheckEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Fatalf("write: %v", err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
		t.Fatalf("read %q, %v", got, err)
	}
}

// WriteFile writes a file and returns its path.
func WriteFile(t *testing.T, path string, data []byte, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// PipeTo returns a NetDial whose other end follows script in a goroutine of the bubble.
func PipeTo(script func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			script(theirs)
			io.Copy(io.Discard, theirs)
		}()
		return ours, nil
	}
}

// PipeServer returns a script that accepts TLS and echoes, fit for net.Pipe: without tickets, since a server
// that writes them waits there until somebody reads.
func PipeServer(ca *tlstest.CA) func(net.Conn) {
	config := ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{Name}}))
	config.SessionTicketsDisabled = true
	return SpeaksTLS(config)
}
