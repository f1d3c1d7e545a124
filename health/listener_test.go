package health

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
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
	limited := NewLimitListener(ln, 1)
	limited.taken = 1
	limited.conns[&limitedConn{places: 1, since: time.Now().Add(time.Hour)}] = struct{}{} // from the future, so that it need not go
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

// fakeConn comes from an address and remembers its end.
type fakeConn struct {
	net.Conn
	closed bool
}

func (c *fakeConn) Close() error { c.closed = true; return nil }

// The address with the most places loses one, and an address with few keeps them. Claimed places count.
func TestTheAddressWithTheMostGivesWay(t *testing.T) {
	const places = 8
	l := NewLimitListener(nil, places)
	began := time.Now().Add(-time.Minute)
	open := func(address string, age int) *limitedConn {
		c := &limitedConn{
			Conn: new(fakeConn), listener: l, places: 1, from: netip.MustParseAddr(address), left: make(chan struct{}),
			since: began.Add(-time.Duration(age) * time.Second),
		}
		l.conns[c] = struct{}{}
		l.taken++
		return c
	}
	ended := func(c *limitedConn) bool { return c.Conn.(*fakeConn).closed }
	few := open("192.0.2.1", 100) // older than all others
	var many []*limitedConn
	for age := range places - 1 {
		many = append(many, open("192.0.2.2", age))
	}
	if !l.Claim(few, 2) || ended(few) || !ended(many[6]) || !ended(many[5]) || ended(many[4]) || few.places != 3 {
		t.Errorf("few %v with %d places, many %v %v %v", ended(few), few.places, ended(many[6]), ended(many[5]), ended(many[4]))
	}
	if l.taken != places+2 || l.leaving != 2 {
		t.Errorf("taken %d, leaving %d, before the server has closed any", l.taken, l.leaving)
	}
	_, _ = many[5].Close(), many[6].Close()
	if l.taken != places || l.leaving != 0 {
		t.Errorf("taken %d, leaving %d", l.taken, l.leaving)
	}
	if !l.Claim(many[0], places-1) || !ended(few) || ended(many[0]) { // all that there are
		t.Errorf("few %v, the claimer %v", ended(few), ended(many[0]))
	}
	select {
	case <-Left(few):
	default:
		t.Error("it is not told that it had to go")
	}
	if l.Claim(few, 3) {
		t.Error("a connection that had to go gets places")
	}
	for c := range l.conns {
		if c != many[0] {
			_ = c.Close()
		}
	}
	l.Changed(many[0], http.StateIdle)
	if l.taken != 1 || l.leaving != 0 {
		t.Errorf("taken %d when the request is answered, want 1; leaving %d", l.taken, l.leaving)
	}
}
