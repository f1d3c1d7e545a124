package evloop

import (
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel holds back what more is to follow, and sends both.
func TestWriteMore(t *testing.T) {
	s, far := socketPair(t)
	var err error
	held := 0
	for range 5 { // it lets go after 200 ms, which a busy machine may take to look
		if _, err := s.WriteMore([]byte("one ")); err != nil {
			t.Fatal(err)
		}
		if held, err = unix.IoctlGetInt(s.fd, unix.SIOCOUTQNSD); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write([]byte("piece")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len("one piece"))
		if _, err := io.ReadFull(far, got); err != nil || string(got) != "one piece" {
			t.Fatalf("got %q, %v", got, err)
		}
		if held > 0 {
			break
		}
	}
	if held != len("one ") {
		t.Errorf("%d bytes were held back", held)
	}
}

// socketPair returns a socket and the other end of its connection. The test closes both at its end.
func socketPair(t *testing.T) (*Socket, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	s, err := NewSocket(near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, far
}
