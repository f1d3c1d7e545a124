//go:build unix

package tlsorigin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// awaitInput waits until something can be read from the socket of conn, if only its end, and leaves it there.
func awaitInput(t *testing.T, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*Conn).Socket().(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return !errors.Is(err, syscall.EAGAIN)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What pgbouncer's tickets do to a spare is seen in test/e2e: Go's server sends none to a client that keeps
// none.
func TestProbeOfALivingSpare(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
		config.MaxVersion = version
		conn, err := newTestDialer(t, ca, nil, peertest.Start(t, peertest.SpeaksTLS(config)).Addr).Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range 3 {
			if err := conn.CheckIdle(); err != nil {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		}
		peertest.CheckEcho(t, conn)
		if err := conn.CheckIdle(); err != nil {
			t.Errorf("%s, after use: %v", tls.VersionName(version), err)
		}
		peertest.CheckEcho(t, conn)
	}
}

func TestProbeOfADeadSpare(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	good := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	good.SessionTicketsDisabled = true // so that what can be read is the end
	mutual := good.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	stranger := tlstest.NewCA("Stranger", tlstest.P256).Issue(tlstest.Leaf{
		CommonName: "app", ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	ends := func(config *tls.Config, last func(raw net.Conn, server *tls.Conn)) func(net.Conn) {
		return func(conn net.Conn) {
			if peertest.Answer(conn, "S") {
				if server := tls.Server(conn, config); server.Handshake() == nil {
					last(conn, server)
				}
			}
		}
	}
	for _, row := range []struct {
		name   string
		script func(net.Conn)
		change func(*Config)
		want   string
	}{
		{"bare FIN, as PostgreSQL", ends(good, func(raw net.Conn, _ *tls.Conn) {
			raw.(*peertest.Recorder).Conn.(*net.TCPConn).CloseWrite()
		}), nil, "the upstream closed the connection"},
		{"close_notify", ends(good, func(_ net.Conn, server *tls.Conn) { server.CloseWrite() }), nil, "the upstream closed the connection"},
		{"reset", ends(good, func(raw net.Conn, _ *tls.Conn) { peertest.Reset(raw) }), nil, "upstream "},
		{"spoke, as pgbouncer", ends(good, func(_ net.Conn, server *tls.Conn) {
			io.WriteString(server, "E\x00\x00\x00\x20SFATAL\x00C08P01\x00Mclient_login_timeout\x00\x00")
			server.Close()
		}), nil, "client_login_timeout"},
		{"client certificate rejected", peertest.SpeaksTLS(mutual), withPair(t, stranger), "rejected the client certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn, err := newTestDialer(t, ca, row.change, peertest.Start(t, row.script).Addr).Dial(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			awaitInput(t, conn)
			if err := conn.CheckIdle(); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("probe: %v, want something with %q", err, row.want)
			}
		})
	}
}
