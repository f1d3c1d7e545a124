package health

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// serveLimited serves /readyz on loopback for the time of the test.
func serveLimited(t *testing.T, handler http.Handler) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, served := NewServer(handler), make(chan error, 1)
	go func() { served <- Serve(server, ln) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func dialTCP(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// askOn sends a request and returns the status, "" when the connection ends instead.
func askOn(conn net.Conn) string {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return ""
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return ""
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Status
}

// Half requests, silent connections and kept ones take nothing away from a probe, and there are never too
// many of them.
func TestConnectionsThatSayNothing(t *testing.T) {
	for story, hold := range map[string]func(conn net.Conn) error{
		"half requests": func(conn net.Conn) error {
			_, err := io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost:")
			return err
		},
		"silent": func(net.Conn) error { return nil },
		"kept": func(conn net.Conn) error {
			if status := askOn(conn); status != "200 OK" {
				return fmt.Errorf("status %q", status)
			}
			return nil
		},
	} {
		t.Run(story, func(t *testing.T) {
			addr := serveLimited(t, handlerIn(t, "ready"))
			var held []net.Conn
			for range 4 * MaxConnections {
				conn := dialTCP(t, addr)
				if err := hold(conn); err != nil {
					t.Fatal(err)
				}
				held = append(held, conn)
			}
			for range 10 {
				if status := askOn(dialTCP(t, addr)); status != "200 OK" {
					t.Errorf("a probe gets %q", status)
				}
			}
			// The oldest went first, in the order in which they came.
			for i, conn := range held[:2*MaxConnections] {
				_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
				if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
					t.Fatalf("connection %d is open: %v", i, err)
				}
			}
		})
	}
}

// Requests that are being answered go last.
func TestBusyConnectionsStay(t *testing.T) {
	busy, release := make(chan struct{}), make(chan struct{})
	addr := serveLimited(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			return
		}
		busy <- struct{}{}
		<-release
	}))
	slow := dialTCP(t, addr)
	if _, err := io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-busy
	for range 2 * MaxConnections {
		dialTCP(t, addr)
	}
	if status := askOn(dialTCP(t, addr)); status != "200 OK" {
		t.Errorf("a probe gets %q", status)
	}
	close(release)
	response, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the busy one gets %v, %v", response, err)
	}
}

// A server that is closed while a connection waits for room ends at once.
func TestCloseWhileAConnectionWaits(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := &limitListener{Listener: ln, conns: map[*limitedConn]struct{}{}, left: make(chan struct{}, 1), closed: make(chan struct{})}
	for range MaxConnections { // from the future, so that nobody has to go
		limited.conns[&limitedConn{since: time.Now().Add(time.Hour)}] = struct{}{}
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := limited.Accept()
		accepted <- err
	}()
	dialTCP(t, ln.Addr().String())
	select {
	case err := <-accepted:
		t.Fatalf("accepted, %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	if err := limited.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
