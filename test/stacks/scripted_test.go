//go:build stacks

package stacks

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// scripted answers an SSLRequest, does a TLS handshake and lets everybody in without a password. It
// answers each query as an empty one. A session without TLS is served alike.
type scripted struct {
	config *tls.Config
	box    box

	mu    sync.Mutex
	hello []byte // the newest
}

// box is what stands in the way of a ClientHello.
type box struct {
	above int                // bytes; only a larger hello is refused. Zero: none is
	does  func(*net.TCPConn) // to a hello that it refuses
}

func boxSwallows(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }
func boxResets(conn *net.TCPConn)   { _ = conn.SetLinger(0) }

const (
	sslRequest    = 80877103
	gssEncRequest = 80877104
)

// start serves on a free port until the test ends.
func (s *scripted) start(t *testing.T) (port string) {
	t.Helper()
	port, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	var listen net.ListenConfig
	ln, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(conn.(*net.TCPConn))
		}
	}()
	return port
}

func (s *scripted) serve(conn *net.TCPConn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	for {
		code, err := readStartup(conn)
		switch {
		case err != nil:
			return
		case code == gssEncRequest:
			_, _ = conn.Write([]byte("N"))
		case code != sslRequest:
			session(conn)
			return
		default:
			if _, err := conn.Write([]byte("S")); err == nil {
				s.handshake(conn)
			}
			return
		}
	}
}

func (s *scripted) handshake(conn *net.TCPConn) {
	hello, err := readHello(conn)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.hello = hello
	s.mu.Unlock()
	if s.box.does != nil && len(hello) > s.box.above {
		s.box.does(conn)
		return
	}
	secured := tls.Server(&replayed{conn, hello}, s.config)
	if err := secured.Handshake(); err != nil {
		return
	}
	if _, err := readStartup(secured); err == nil {
		session(secured)
	}
	_ = secured.Close()
}

// readStartup reads a startup packet and returns its code.
func readStartup(conn io.Reader) (uint32, error) {
	header := make([]byte, 8)
	if _, err := io.ReadFull(conn, header); err != nil {
		return 0, err
	}
	length := binary.BigEndian.Uint32(header)
	if length < 8 || length > 10000 {
		return 0, errors.New("no startup packet")
	}
	_, err := io.CopyN(io.Discard, conn, int64(length)-8)
	return binary.BigEndian.Uint32(header[4:]), err
}

// session lets a client in and answers its queries until it goes.
func session(conn io.ReadWriter) {
	ready := []byte("Z\x00\x00\x00\x05I")
	welcome := []byte("R\x00\x00\x00\x08\x00\x00\x00\x00" + "K\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x01")
	welcome = append(welcome, ready...)
	if _, err := conn.Write(welcome); err != nil {
		return
	}
	header := make([]byte, 5)
	for {
		if _, err := io.ReadFull(conn, header); err != nil || header[0] != 'Q' {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(header[1:]))-4); err != nil {
			return
		}
		if _, err := conn.Write(append([]byte("I\x00\x00\x00\x04"), ready...)); err != nil {
			return
		}
	}
}

// readHello reads the records of one ClientHello, as they are.
func readHello(conn io.Reader) ([]byte, error) {
	var hello []byte
	want := 4
	for got := 0; got < want; {
		header := make([]byte, 5)
		if _, err := io.ReadFull(conn, header); err != nil {
			return nil, err
		}
		record := make([]byte, binary.BigEndian.Uint16(header[3:]))
		if _, err := io.ReadFull(conn, record); err != nil {
			return nil, err
		}
		if header[0] != 22 || len(record) < 4 {
			return nil, errors.New("no ClientHello")
		}
		if got == 0 {
			want = 4 + int(binary.BigEndian.Uint32(record)&0xffffff)
		}
		got += len(record)
		hello = append(append(hello, header...), record...)
	}
	return hello, nil
}

// replayed reads what was read already, and then the rest.
type replayed struct {
	net.Conn
	first []byte
}

func (c *replayed) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}

// newest returns the newest ClientHello, and forgets it.
func (s *scripted) newest() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	hello := s.hello
	s.hello = nil
	return hello
}
