package tlsorigin

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func direct(c *Config) { c.Negotiation = NegotiateDirect }

func TestDirectTLS(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	config.NextProtos = []string{protocolName}
	p := peertest.Start(t, func(conn net.Conn) {
		server := tls.Server(conn, config)
		io.Copy(server, server)
		server.Close()
	})
	conn, err := newTestDialer(t, ca, direct, p.Addr).Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	peertest.CheckEcho(t, conn)
	if state := conn.ConnectionState(); state.NegotiatedProtocol != "postgresql" {
		t.Errorf("negotiated %q", state.NegotiatedProtocol)
	}
	conn.Close()
	if got := p.Received(t); bytes.HasPrefix(got, []byte(sslRequest)) || got[0] != recordTypeHandshake {
		t.Errorf("the stream begins with %x", got[:8])
	}
}

func TestRefusedDirectTLS(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	good := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	other := good.Clone()
	other.NextProtos = []string{"h2"}
	handshake := func(config *tls.Config) func(net.Conn) {
		return func(conn net.Conn) { _ = tls.Server(conn, config).Handshake() }
	}
	for _, row := range []struct {
		name   string
		script func(net.Conn)
		reason Reason
		want   string
	}{
		{"server without ALPN", handshake(good), ReasonTLSALPN, "did not agree to the protocol postgresql"},
		{"server of something else", handshake(other), ReasonTLSALPN, "alert 120"},
		{"PostgreSQL up to 16 closes", func(conn net.Conn) { peertest.ReadHello(conn); conn.Close() }, ReasonTLSProtocol, "needs PostgreSQL 17 or pgbouncer 1.25"},
		{"pgbouncer up to 1.24 answers in plaintext", func(conn net.Conn) {
			peertest.ReadHello(conn)
			io.WriteString(conn, "E\x00\x00\x00\x60SFATAL\x00C08P01\x00M"+peertest.PeerText+"\x00\x00")
		}, ReasonTLSProtocol, "needs PostgreSQL 17 or pgbouncer 1.25"},
		{"resets", func(conn net.Conn) {
			peertest.ReadHello(conn)
			peertest.Reset(conn)
		}, ReasonTLSProtocol, "needs PostgreSQL 17 or pgbouncer 1.25"},
		{"web server", func(conn net.Conn) {
			peertest.ReadHello(conn)
			io.WriteString(conn, "HTTP/1.1 400 "+peertest.PeerText)
		}, ReasonNotPostgres, "a web server (HTTP)"},
		{"something else that is not TLS", func(conn net.Conn) {
			peertest.ReadHello(conn)
			io.WriteString(conn, "\x1b[2J "+peertest.PeerText)
		}, ReasonNotPostgres, "something that is not TLS"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := peertest.Start(t, row.script)
			failure := dialFailure(t, newTestDialer(t, ca, direct, p.Addr))
			if failure.Kind != row.reason || !strings.Contains(failure.Text, row.want) || strings.Contains(failure.Error(), peertest.PeerText[:8]) {
				t.Errorf("got %s: %v", failure.Kind, failure)
			}
		})
	}
}

// TestALPNBehindSSLRequest: a server that knows other protocols only refuses, one that knows none does not
// mind.
func TestALPNBehindSSLRequest(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, row := range []struct {
		knows  []string
		reason Reason // empty: it connects
	}{
		{nil, ""},
		{[]string{protocolName}, ""},
		{[]string{"h2", "http/1.1"}, ReasonTLSALPN},
	} {
		config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
		config.NextProtos = row.knows
		d := newTestDialer(t, ca, nil, peertest.Start(t, peertest.SpeaksTLS(config)).Addr)
		if row.reason != "" {
			if failure := dialFailure(t, d); failure.Kind != row.reason {
				t.Errorf("%v: %v", row.knows, failure)
			}
			continue
		}
		conn, err := d.Dial(t.Context(), nil)
		if err != nil {
			t.Errorf("%v: %v", row.knows, err)
			continue
		}
		peertest.CheckEcho(t, conn)
		conn.Close()
	}
}

// TestSilentDirectTLS: a port that answers neither a large ClientHello nor a small one answers nothing.
func TestSilentDirectTLS(t *testing.T) {
	for _, policy := range []PostQuantum{PostQuantumPrefer, PostQuantumOff} {
		synctest.Test(t, func(t *testing.T) {
			d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), func(c *Config) {
				direct(c)
				c.PostQuantum, c.NetDial = policy, peertest.PipeTo(swallow)
			}, "db.test:6432")
			if failure := dialFailure(t, d); failure.Kind != ReasonUpstreamSilent || !strings.Contains(failure.Text, "no answer to a ClientHello within") {
				t.Errorf("%s: got %s: %v", policy, failure.Kind, failure)
			}
		})
	}
}
