package tlsorigin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// mutual returns a TLS configuration that presents server and demands a client certificate of one of clients.
func mutual(server *tlstest.Pair, version uint16, clients *tlstest.CA) *tls.Config {
	config := peertest.ServerConfig(server)
	config.MaxVersion = version
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients.Pool()
	return config
}

// A Dial that fails because of files that have been replaced since finds the new ones and succeeds.
func TestDialSurvivesARotation(t *testing.T) {
	ca, other := tlstest.NewCA("Root", tlstest.P256), tlstest.NewCA("New Root", tlstest.P256)
	server := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	moved := other.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	client, reissued := issueClient(ca), issueClient(other)
	for _, row := range []struct {
		name    string
		config  *tls.Config
		changes map[string][]byte
		reason  Reason // of the failure; empty for success
		reports int
	}{
		{"server's CA", mutual(moved, tls.VersionTLS13, ca), map[string][]byte{"ca.crt": other.PEM()}, "", 1},
		{"client's CA, TLS 1.2", mutual(server, tls.VersionTLS12, other), map[string][]byte{"tls.crt": reissued.CertPEM(), "tls.key": reissued.KeyPEM()}, "", 1},
		{"other files, but no better", mutual(moved, tls.VersionTLS13, ca), map[string][]byte{"ca.crt": append(ca.PEM(), ca.PEM()...)}, ReasonCertUnknownAuthority, 1},
		{"the same files", mutual(moved, tls.VersionTLS13, ca), nil, ReasonCertUnknownAuthority, 0},
		{"wrong files", mutual(moved, tls.VersionTLS13, ca), map[string][]byte{"ca.crt": nil}, ReasonCertUnknownAuthority, 1},
		{
			"a failure that files do not explain", peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}})),
			map[string][]byte{"ca.crt": other.PEM()},
			ReasonCertNameMismatch, 0,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := peertest.Start(t, peertest.SpeaksTLS(row.config))
			r := newRotation(t, secret(ca, client), nil, p.Addr)
			r.swap(t, row.changes)
			for range 2 { // the second time everything is known already
				conn, err := r.Dial(t.Context(), nil)
				if err == nil {
					peertest.CheckEcho(t, conn)
					if !r.Current(conn) {
						t.Error("the connection is not of the state in force")
					}
					conn.Close()
				}
				var failure *Error
				if errors.As(err, &failure) != (row.reason != "") || failure != nil && failure.Kind != row.reason {
					t.Errorf("got %v, want %q", err, row.reason)
				}
			}
			if reports := r.taken(); len(reports) != row.reports {
				t.Errorf("reports are %+v", reports)
			}
		})
	}
}

// In TLS 1.3 an upstream judges the client certificate when Dial is over. That connection is lost, but the
// next one has the new certificate.
func TestLateRejectionLooksAtTheFiles(t *testing.T) {
	ca, other := tlstest.NewCA("Root", tlstest.P256), tlstest.NewCA("New Root", tlstest.P256)
	server := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	reissued := issueClient(other)
	p := peertest.Start(t, peertest.SpeaksTLS(mutual(server, tls.VersionTLS13, other)))
	r := newRotation(t, secret(ca, issueClient(ca)), nil, p.Addr)
	first, err := r.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	peertest.WriteFile(t, r.Path("tls.key"), reissued.KeyPEM(), 0o600)
	reject := func(conn net.Conn) {
		t.Helper()
		var failure *Error
		if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &failure) || failure.Kind != ReasonClientCertRejected {
			t.Fatalf("got %v", err)
		}
	}
	reject(first)
	if reports := r.taken(); len(reports) != 0 || !r.Current(first) {
		t.Errorf("half of a pair was taken for something: %+v", reports)
	}
	second, err := r.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	peertest.WriteFile(t, r.Path("tls.crt"), reissued.CertPEM(), 0o600)
	reject(second)
	if reports := r.taken(); len(reports) != 1 || !reports[0].found.Changed || r.Current(second) {
		t.Errorf("reports are %+v", reports)
	}
	third, err := r.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	peertest.CheckEcho(t, third)
	first.Close()
	peertest.CheckEcho(t, third)
}

// A Dial that waits for files to become right gives up with its context, and with its own failure at its
// deadline.
func TestDialWaitsForFilesOnlySoLong(t *testing.T) {
	ca, other := tlstest.NewCA("Root", tlstest.P256), tlstest.NewCA("New Root", tlstest.P256)
	p := peertest.Start(t, peertest.Presents(other.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	r := newRotation(t, secret(ca, issueClient(ca)), func(c *Config) { c.Timeout = time.Second }, p.Addr)
	r.swap(t, map[string][]byte{"ca.crt": nil})
	if failure := dialFailure(t, r.Dialer); failure.Kind != ReasonCertUnknownAuthority {
		t.Errorf("got %v", failure)
	}
	// Had it waited for the files to settle, there would be a report.
	if reports := r.taken(); len(reports) != 0 {
		t.Errorf("reports are %+v", reports)
	}
	cause := errors.New("nobody waits")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if conn, err := r.Dial(ctx, nil); !errors.Is(err, cause) {
		t.Errorf("got %v, %v", conn, err)
	}
}

// Revocation lists are replaced far more often than certificates. One that has run out is no reason to refuse
// anybody when the next one is there already.
func TestDialFindsTheNextRevocationList(t *testing.T) {
	ca := tlstest.NewCA("Root", tlstest.P256)
	server := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	p := peertest.Start(t, peertest.Presents(server))
	files := secret(ca, issueClient(ca))
	files["crl.pem"] = tlstest.CRLPEM(ca.CRL(tlstest.CRL{NextUpdate: time.Now().Add(-time.Minute)}))
	r := newRotation(t, files, nil, p.Addr)
	cfg := Config{
		Addrs: []string{p.Addr}, ServerName: testName, CAFile: r.Path("ca.crt"), CRLFile: r.Path("crl.pem"),
	}
	d, err := NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if failure := dialFailure(t, d); failure.Kind != ReasonCRLStale {
		t.Fatalf("got %v", failure)
	}
	r.swap(t, map[string][]byte{"crl.pem": tlstest.CRLPEM(ca.CRL(tlstest.CRL{}))})
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	peertest.CheckEcho(t, conn)
	r.swap(t, map[string][]byte{"crl.pem": tlstest.CRLPEM(ca.CRL(tlstest.CRL{Revoked: []*x509.Certificate{server.Leaf}}))})
	if found, err := d.Reload(t.Context()); err != nil || !found.Changed {
		t.Fatalf("reload found %+v, %v", found, err)
	}
	if failure := dialFailure(t, d); failure.Kind != ReasonCertRevoked {
		t.Errorf("got %v", failure)
	}
	peertest.CheckEcho(t, conn) // a running session goes on
	conn.Close()
}
