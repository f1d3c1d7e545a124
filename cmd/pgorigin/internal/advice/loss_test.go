package advice

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// TestSQLStatesOfLostConnections compares the table with what a verified connection really reports when it is
// lost.
func TestSQLStatesOfLostConnections(t *testing.T) {
	for _, row := range []struct {
		reason tlsorigin.Reason
		auth   tls.ClientAuthType
		lose   func(*net.TCPConn)
	}{
		{tlsorigin.ReasonUpstreamGone, tls.NoClientCert, func(c *net.TCPConn) { c.SetLinger(0) }},
		{tlsorigin.ReasonTLSProtocol, tls.NoClientCert, func(c *net.TCPConn) { io.WriteString(c, "no record") }},
		{tlsorigin.ReasonClientCertRequired, tls.RequireAnyClientCert, nil}, // TLS 1.3: after the handshake
	} {
		err := lostConnection(t, row.auth, row.lose)
		var lost *tlsorigin.Error
		if !errors.As(err, &lost) || lost.Kind != row.reason {
			t.Fatalf("%v, want %s", err, row.reason)
		}
		if r, _ := lookup(lost.Reason()); !slices.Contains(r.Ends, end{pgwire.PhaseAuth, lost.SQLState()}) {
			t.Errorf("a login that loses its connection for %s ends with SQLSTATE %s, and the table has %v",
				r.Word, lost.SQLState(), r.Ends)
		}
	}
}

// lostConnection returns the error of reading from a verified connection that lose ends, or the handshake if
// lose is nil.
func lostConnection(t *testing.T, auth tls.ClientAuthType, lose func(*net.TCPConn)) error {
	t.Helper()
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(tlstest.Leaf{DNSNames: []string{"db.test"}}).TLS()},
		ClientAuth:   auth,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		raw, err := listener.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		io.ReadFull(raw, make([]byte, 8)) // SSLRequest
		io.WriteString(raw, "S")
		if tls.Server(raw, config).Handshake() == nil && lose != nil {
			lose(raw.(*net.TCPConn))
		}
	}()
	dialer, err := tlsorigin.NewDialer(tlsorigin.Config{
		Addrs: []string{listener.Addr().String()}, ServerName: "db.test", CAPEM: string(ca.PEM()),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer dialer.Close()
	conn, err := dialer.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.ReadAll(conn)
	return err
}
