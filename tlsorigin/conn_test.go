package tlsorigin

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// dialPeer returns a connection to a peer with a good certificate that runs talk after its handshake.
func dialPeer(t *testing.T, talk func(raw net.Conn, server *tls.Conn)) *Conn {
	t.Helper()
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	p := peertest.Start(t, func(conn net.Conn) {
		if !peertest.Answer(conn, "S") {
			return
		}
		if server := tls.Server(conn, config); server.Handshake() == nil {
			talk(conn, server)
		}
	})
	conn, err := newTestDialer(t, ca, nil, p.Addr).Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func echo(_ net.Conn, server *tls.Conn) { io.Copy(server, server) }

func checkLoss(t *testing.T, err error, reason Reason, want string) {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) || failure.Kind != reason || failure.SQLState() != "08006" || !strings.Contains(failure.Error(), want) {
		t.Errorf("got %v, want %s with 08006 and %q", err, reason, want)
	}
}

func TestLossOfAnEstablishedConnection(t *testing.T) {
	t.Run("reset before data", func(t *testing.T) {
		conn := dialPeer(t, func(raw net.Conn, _ *tls.Conn) { peertest.Reset(raw) })
		_, err := io.ReadAll(conn)
		checkLoss(t, err, ReasonUpstreamGone, "reset the connection")
	})
	t.Run("reset after data", func(t *testing.T) {
		conn := dialPeer(t, func(raw net.Conn, server *tls.Conn) { io.ReadFull(server, make([]byte, 4)); peertest.Reset(raw) })
		io.WriteString(conn, "ping")
		_, err := io.ReadAll(conn)
		checkLoss(t, err, ReasonUpstreamGone, "reset the connection")
		for err = nil; err == nil; {
			_, err = io.WriteString(conn, "more")
		}
		checkLoss(t, err, ReasonUpstreamGone, "closed the connection")
	})
	t.Run("alert after data", func(t *testing.T) {
		// It is no verdict on the client certificate any more, whatever its number.
		conn := dialPeer(t, echo)
		peertest.CheckEcho(t, conn)
		io.WriteString(conn.wire.Conn, "\x17\x03\x03\x00\x20"+"this is not an encrypted record.")
		_, err := io.ReadAll(conn)
		checkLoss(t, err, ReasonTLSAlert, "ended the connection with TLS alert 20")
	})
	t.Run("bytes that are not from the peer's TLS", func(t *testing.T) {
		conn := dialPeer(t, func(raw net.Conn, _ *tls.Conn) { io.WriteString(raw, "E\x00\x00\x00\x60"+peertest.PeerText) })
		_, err := io.ReadAll(conn)
		checkLoss(t, err, ReasonTLSProtocol, "broke the TLS protocol")
		if strings.Contains(err.Error(), peertest.PeerText[:8]) {
			t.Errorf("text %q repeats what came outside TLS", err)
		}
	})
}

func TestOrdinaryEndsKeepTheirErrors(t *testing.T) {
	t.Run("close_notify", func(t *testing.T) {
		conn := dialPeer(t, func(_ net.Conn, server *tls.Conn) { server.Close() })
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // readers compare with ==
			t.Errorf("got %v, want io.EOF itself", err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		conn := dialPeer(t, echo)
		conn.SetReadDeadline(time.Unix(1, 0))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		conn.SetDeadline(time.Time{})
		peertest.CheckEcho(t, conn) // and a missed read deadline breaks nothing
	})
	t.Run("closed here", func(t *testing.T) {
		conn := dialPeer(t, echo)
		conn.Close()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("half-close ends TLS and TCP and passes what is left", func(t *testing.T) {
		conn := dialPeer(t, func(raw net.Conn, server *tls.Conn) {
			request, _ := io.ReadAll(server)
			if n, err := raw.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("TCP goes on behind close_notify: %d bytes, %v", n, err)
			}
			server.Write(append([]byte("answer to "), request...))
			server.Close()
		})
		io.WriteString(conn, "ping")
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); string(got) != "answer to ping" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// A connection must not keep what only its dial needs: there may be thousands of connections.
func TestConnectionsDoNotKeepTheirAttempt(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	p := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	d := newTestDialer(t, ca, nil, p.Addr)
	a := d.newAttempt(d.upstream[0], d.state.Load(), d.timeout, options{})
	freed := make(chan struct{})
	runtime.AddCleanup(a, func(freed chan struct{}) { close(freed) }, freed)
	conn, failure := a.run(t.Context(), d.netDial)
	if failure != nil {
		t.Fatal(failure)
	}
	defer conn.Close()
	for range 100 {
		runtime.GC()
		select {
		case <-freed:
			peertest.CheckEcho(t, conn)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the attempt is still there")
}

// TestAwaitInput: a reader that waits without a buffer gets every byte, the end, and a deadline.
func TestAwaitInput(t *testing.T) {
	conn := dialPeer(t, func(_ net.Conn, server *tls.Conn) {
		io.ReadFull(server, make([]byte, 1))
		io.WriteString(server, "a")
		io.ReadFull(server, make([]byte, 1))
		io.WriteString(server, strings.Repeat("b", 40000))
		server.CloseWrite()
	})
	conn.SetReadDeadline(time.Unix(1, 0))
	if err := conn.AwaitInput(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
	conn.SetReadDeadline(time.Time{})
	var got strings.Builder
	buf := make([]byte, 32<<10)
	for err := error(nil); err == nil; {
		if got.Len() < 2 {
			io.WriteString(conn, "x")
		}
		_ = conn.AwaitInput()
		_ = conn.AwaitInput() // changes nothing
		var n int
		n, err = conn.Read(buf)
		got.Write(buf[:n])
	}
	if want := "a" + strings.Repeat("b", 40000); got.String() != want {
		t.Errorf("got %d bytes, want %d", got.Len(), len(want))
	}
}
