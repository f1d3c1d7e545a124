package tlsorigin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestEveryKeyTypeInEveryCertificate(t *testing.T) {
	keys := []tlstest.KeyType{tlstest.P256, tlstest.P384, tlstest.P521, tlstest.Ed25519, tlstest.RSA2048}
	for _, key := range keys {
		t.Run(string(key), func(t *testing.T) {
			t.Parallel()
			root := tlstest.NewCA("Root", key)
			between := root.Intermediate("Intermediate", key)
			server := between.Issue(tlstest.Leaf{DNSNames: []string{testName}, Key: key})
			client := between.Issue(tlstest.Leaf{CommonName: "app", Key: key, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				config := peertest.ServerConfig(server)
				config.MaxVersion = version
				config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, root.Pool()
				conn, err := newTestDialer(t, root, withPair(t, client), peertest.Start(t, peertest.SpeaksTLS(config)).Addr).Dial(t.Context(), nil)
				if err != nil {
					t.Fatalf("%s: %v", tls.VersionName(version), err)
				}
				peertest.CheckEcho(t, conn)
				state := conn.ConnectionState()
				if state.Version != version || len(state.VerifiedChains[0]) != 3 {
					t.Errorf("%s, chain of %d", tls.VersionName(state.Version), len(state.VerifiedChains[0]))
				}
				conn.Close()
			}
		})
	}
}

// withPair returns a change that configures pair as the client certificate.
func withPair(t *testing.T, pair *tlstest.Pair) func(*Config) {
	t.Helper()
	cert, key, err := pair.WriteFiles(t.TempDir(), "client")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.CertFile, c.KeyFile = cert, key }
}

func TestClientCertificateRejected(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	server := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	clientOnly := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	stranger := tlstest.NewCA("Stranger", tlstest.P256).Issue(tlstest.Leaf{CommonName: "app", ExtKeyUsage: clientOnly})
	serverOnly := ca.Issue(tlstest.Leaf{CommonName: "app"})
	for _, row := range []struct {
		name    string
		version uint16
		pair    *tlstest.Pair // nil: none configured
		reason  Reason
		wants   []string
	}{
		{"missing, TLS 1.2", tls.VersionTLS12, nil, ReasonClientCertRequired, []string{"none is configured", "alert 40"}},
		{"missing, TLS 1.3", tls.VersionTLS13, nil, ReasonClientCertRequired, []string{"none is configured", "alert 116"}},
		{"wrong CA, TLS 1.2", tls.VersionTLS12, stranger, ReasonClientCertRejected, []string{`"app"`, "issuer is not in the list", "alert 48"}},
		{"wrong CA, TLS 1.3", tls.VersionTLS13, stranger, ReasonClientCertRejected, []string{`"app"`, "issuer is not in the list", "alert 48"}},
		{"wrong usage, TLS 1.2", tls.VersionTLS12, serverOnly, ReasonClientCertRejected, []string{`rejected the client certificate "app", which is not meant for clients`, "TLS alert 42"}},
		{"wrong usage, TLS 1.3", tls.VersionTLS13, serverOnly, ReasonClientCertRejected, []string{`rejected the client certificate "app", which is not meant for clients`, "TLS alert 42"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := peertest.ServerConfig(server)
			config.MaxVersion = row.version
			config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
			p := peertest.Start(t, peertest.SpeaksTLS(config))
			var change func(*Config)
			if row.pair != nil {
				change = withPair(t, row.pair)
			}
			conn, err := newTestDialer(t, ca, change, p.Addr).Dial(t.Context(), nil)
			if row.version == tls.VersionTLS13 {
				if err != nil {
					t.Fatalf("Dial: %v, want the rejection on the first Read", err)
				}
				defer conn.Close()
				// The upstream may have closed already, so this may fail; what Read says counts.
				_, _ = io.WriteString(conn, "startup packet")
				_, err = conn.Read(make([]byte, 1))
			}
			var failure *Error
			if !errors.As(err, &failure) || failure.Kind != row.reason || failure.SQLState() != "08001" {
				t.Fatalf("got %v, want %s", err, row.reason)
			}
			t.Log(failure)
			for _, want := range row.wants {
				if !strings.Contains(failure.Error(), want) {
					t.Errorf("text %q lacks %q", failure, want)
				}
			}
			checkSafe(t, failure.Error())
		})
	}
}

func TestClientCertificateIsPresentedWhateverTheServersList(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	client := tlstest.NewCA("Client Root", tlstest.P256).Intermediate("Client Intermediate", tlstest.P384).Issue(tlstest.Leaf{CommonName: "app"})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		presented := make(chan int, 1)
		config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
		config.MaxVersion = version
		config.ClientAuth, config.ClientCAs = tls.RequireAnyClientCert, ca.Pool()
		config.VerifyConnection = func(cs tls.ConnectionState) error {
			presented <- len(cs.PeerCertificates)
			return nil
		}
		conn, err := newTestDialer(t, ca, withPair(t, client), peertest.Start(t, peertest.SpeaksTLS(config)).Addr).Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		peertest.CheckEcho(t, conn)
		if got := <-presented; got != 2 {
			t.Errorf("%s: presented %d certificates, want leaf and intermediate", tls.VersionName(version), got)
		}
		auth := conn.auth
		if !auth.requested || !auth.unlisted {
			t.Errorf("%s: noted requested=%t unlisted=%t", tls.VersionName(version), auth.requested, auth.unlisted)
		}
		conn.Close()
	}
}

func TestOptionalClientCertificateMayBeMissing(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
		config.MaxVersion, config.ClientAuth = version, tls.RequestClientCert
		conn, err := newTestDialer(t, ca, nil, peertest.Start(t, peertest.SpeaksTLS(config)).Addr).Dial(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		peertest.CheckEcho(t, conn)
		conn.Close()
	}
}

// sentAlert is an alert as crypto/tls reports one of the peer's.
type sentAlert uint8

func (sentAlert) Error() string { return "tls: some alert" }

// Before the upstream has asked for a client certificate, no alert can be about one.
func TestAlertsAboutCertificatesNeedARequest(t *testing.T) {
	for _, number := range []sentAlert{42, 43, 44, 45, 46, 48, 49, 116} {
		err := &net.OpError{Op: "remote error", Err: number}
		for want, auth := range map[Reason]*clientAuth{ReasonTLSAlert: {}, ReasonClientCertRequired: {requested: true}} {
			if found := alertFailure(err, auth); found == nil || found.reason != want {
				t.Errorf("alert %d, requested %v: %v, want %s", number, auth.requested, found, want)
			}
		}
	}
}

// TestClientKeyThatNoVersionTakes: TLS 1.3 has no signatures of P-224. That is no fault of the upstream.
func TestClientKeyThatNoVersionTakes(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	config.ClientAuth = tls.RequireAnyClientCert
	certFile, keyFile, err := ca.Issue(tlstest.Leaf{CommonName: "app", Key: tlstest.P224}).WriteFiles(t.TempDir(), "app")
	if err != nil {
		t.Fatal(err)
	}
	p := peertest.Start(t, peertest.SpeaksTLS(config))
	failure := dialFailure(t, newTestDialer(t, ca, func(c *Config) { c.CertFile, c.KeyFile = certFile, keyFile }, p.Addr))
	if failure.Kind != ReasonClientCertRejected || failure.Case != CaseClientKey || !strings.Contains(failure.Text, `"app" can make (ECDSA P-224)`) {
		t.Errorf("got %s %s: %v", failure.Kind, failure.Case, failure)
	}
}
