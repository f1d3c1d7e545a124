package diagnose

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// diagnoseOne diagnoses a Dialer with one address that needs no DNS.
func diagnoseOne(t *testing.T, d *tlsorigin.Dialer) Address {
	t.Helper()
	t.Cleanup(func() { _ = d.Close() })
	all := Run(t.Context(), d, Options{})
	if len(all) != 1 || len(all[0].Addresses) != 1 {
		t.Fatalf("diagnosis %+v, want one upstream with one address", all)
	}
	return all[0].Addresses[0]
}

func newTestDialer(t testing.TB, ca *tlstest.CA, change func(*tlsorigin.Config), addrs ...string) *tlsorigin.Dialer {
	t.Helper()
	cfg := tlsorigin.Config{Addrs: addrs, ServerName: peertest.Name, CAPEM: string(ca.PEM())}
	if change != nil {
		change(&cfg)
	}
	d, err := tlsorigin.NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func dialFailure(t *testing.T, d *tlsorigin.Dialer) *tlsorigin.Error {
	t.Helper()
	var failure *tlsorigin.Error
	if _, err := d.Dial(t.Context(), nil); !errors.As(err, &failure) {
		t.Fatalf("Dial returned %v, want an *Error", err)
	}
	return failure
}

// changeFor returns the change of the configuration that a bad upstream needs.
func changeFor(setting peertest.Setting) func(*tlsorigin.Config) {
	return func(c *tlsorigin.Config) {
		switch setting {
		case peertest.Soon:
			c.Timeout = time.Second
		case peertest.OnlyTLS13:
			c.MinVersion = tls.VersionTLS13
		case peertest.Nothing:
		}
	}
}

// wantStage is the stage of most failures with that reason; rows that fail earlier say so by their names.
func wantStage(reason tlsorigin.Reason) Stage {
	switch {
	case reason == tlsorigin.ReasonTLSRefused, reason == tlsorigin.ReasonTLSInjection, reason == tlsorigin.ReasonUpstreamSilent:
		return StageSSLRequest
	case reason == tlsorigin.ReasonCertNameMismatch:
		return StageName
	case reason == tlsorigin.ReasonClientCertRequired, reason == tlsorigin.ReasonClientCertRejected:
		return StageClientCertificate
	case strings.HasPrefix(string(reason), "cert_"):
		return StageChain
	}
	return StageTLS
}

// A diagnosis that disagrees with Dial would send people to the wrong setting.
func TestDiagnosisAgreesWithDial(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P521)
	for _, row := range append(peertest.BadCertificates(ca), peertest.BadProtocols(ca)...) {
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			dialled := dialFailure(t, newTestDialer(t, ca, changeFor(row.Needs), peertest.Start(t, row.Script).Addr))
			p := peertest.Start(t, row.Script)
			d := newTestDialer(t, ca, changeFor(row.Needs), p.Addr)
			found := diagnoseOne(t, d)
			if found.Err == nil || found.Skipped {
				t.Fatalf("the diagnosis finds nothing, Dial says %v", dialled)
			}
			if found.Err.Kind != dialled.Kind || withoutTimes(found.Err.Text) != withoutTimes(dialled.Text) {
				t.Errorf("the diagnosis says %s: %s\nDial says          %s: %s", found.Err.Kind, found.Err.Text, dialled.Kind, dialled.Text)
			}
			if !slices.Equal(found.Err.Also, dialled.Also) {
				t.Errorf("the diagnosis also says %v, Dial %v", found.Err.Also, dialled.Also)
			}
			want := wantStage(tlsorigin.Reason(row.Reason))
			if strings.Contains(row.Name, "SSLRequest") || strings.Contains(row.Name, "answers") || row.Name == "closes at once" {
				want = StageSSLRequest
			}
			if found.Failed != want {
				t.Errorf("failed at %q, want %q", found.Failed, want)
			}
			if stages := StagesOf(found.Err.Kind); !slices.Contains(stages, found.Failed) {
				t.Errorf("%s failed at %q, StagesOf says %q", found.Err.Kind, found.Failed, stages)
			}
			for range max(1, len(found.KeyExchange)) {
				peertest.CheckOnlyTLS(t, p.Received(t))
			}
		})
	}
}

// withoutTimes takes out what differs between two runs: times, and seconds since and until.
func withoutTimes(text string) string {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == ';' })
	return strings.Join(slices.DeleteFunc(fields, func(f string) bool {
		_, noDuration := time.ParseDuration(f)
		_, noTime := time.Parse(time.RFC3339, f)
		return noDuration == nil || noTime == nil
	}), " ")
}

func TestDiagnosisOfAGoodUpstream(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P521)
	issuer := root.Intermediate("Issuer\x1b[31m", tlstest.RSA2048)
	p := peertest.Start(t, peertest.Presents(issuer.Issue(tlstest.Leaf{CommonName: "db", DNSNames: []string{peertest.Name, "db2.test"}})))
	found := diagnoseOne(t, newTestDialer(t, root, nil, p.Addr))
	if found.Failed != "" || found.Err != nil || found.Skipped {
		t.Fatalf("%+v", found)
	}
	if found.Addr.String() != p.Addr || found.TLS == 0 || found.SSLRequest == 0 || found.Connect == 0 {
		t.Errorf("address and times: %+v", found)
	}
	if h := found.Handshake; h.Version != tls.VersionTLS13 || h.Group != tls.X25519MLKEM768 || h.CipherSuite == 0 || h.HelloRetryRequest {
		t.Errorf("handshake %+v", h)
	}
	chain := found.Certificate
	if !chain.Verified || len(chain.Path) != 3 || len(chain.Unused) != 0 || chain.Names != `"db.test", "db2.test"` {
		t.Fatalf("chain %+v", chain)
	}
	want := []tlsorigin.PeerCertificate{
		{Subject: `"Test Root"`, Key: "ECDSA P-521", SignatureAlgorithm: "ECDSA-SHA512", Sent: false},
		{Subject: `"Issuer�[31m"`, Key: "RSA 2048", SignatureAlgorithm: "ECDSA-SHA512", Sent: true},
		{Subject: `"db"`, Key: "ECDSA P-256", SignatureAlgorithm: "SHA256-RSA", Sent: true},
	}
	for i, cert := range chain.Path {
		w := want[i]
		if cert.Subject != w.Subject || cert.Key != w.Key || cert.SignatureAlgorithm != w.SignatureAlgorithm || cert.Sent != w.Sent {
			t.Errorf("certificate %d: %+v, want %+v", i, cert, w)
		}
		if len(cert.SHA256) != 64 || cert.DaysLeft < 89 || cert.DaysLeft > 366 {
			t.Errorf("certificate %d: %+v", i, cert)
		}
	}
	for i, row := range found.KeyExchange {
		if row.Outcome != TrialWorks || row.Err != nil || row.HelloRetryRequest || row.Hello.Bytes == 0 || row.Took == 0 {
			t.Errorf("row %d of the matrix: %+v", i, row)
		}
		if i > 0 && (len(row.Offered) != 1 || row.Group != row.Offered[0]) {
			t.Errorf("row %d of the matrix negotiated %v, want %v", i, row.Group, row.Offered)
		}
	}
	if len(found.KeyExchange) != 6 {
		t.Errorf("%d rows in the matrix, want 6", len(found.KeyExchange))
	}
}

func TestDiagnosisOfARejectedClientCertificate(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{peertest.Name}}))
		config.ClientAuth, config.ClientCAs, config.MaxVersion = tls.RequireAndVerifyClientCert, ca.Pool(), version
		found := diagnoseOne(t, newTestDialer(t, ca, nil, peertest.Start(t, peertest.SpeaksTLS(config)).Addr))
		if found.Failed != StageClientCertificate || found.Err.Kind != tlsorigin.ReasonClientCertRequired {
			t.Errorf("%s: failed at %q: %v", tls.VersionName(version), found.Failed, found.Err)
		}
		if !found.ClientCertificate.Requested || !found.Certificate.Verified {
			t.Errorf("%s: %+v", tls.VersionName(version), found)
		}
	}
}

func TestDiagnosisWalksEveryAddress(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	good := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{"a.test"}})))
	_, port, _ := net.SplitHostPort(good.Addr)
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if host == "a.test" {
			return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.9")}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	d := newTestDialer(t, ca, func(c *tlsorigin.Config) { c.ServerName = "" }, "a.test:"+port, "b.test:"+port)
	defer d.Close()
	all := Run(t.Context(), d, Options{LookupNetIP: lookup})
	if len(all) != 2 || all[0].Resolved != 2 || len(all[0].Addresses) != 2 || all[0].Lookup == 0 || all[0].ServerName != "a.test" {
		t.Fatalf("%+v", all)
	}
	if first := all[0].Addresses[0]; first.Failed != "" || first.Addr.String() != good.Addr {
		t.Errorf("first address %+v", first)
	}
	if second := all[0].Addresses[1]; second.Failed != StageTCP || second.Err.Kind != tlsorigin.ReasonUpstreamRefused {
		t.Errorf("second address: failed at %q: %v", second.Failed, second.Err)
	}
	if all[1].Err == nil || all[1].Err.Kind != tlsorigin.ReasonUpstreamDNS || len(all[1].Addresses) != 0 {
		t.Errorf("unknown name: %+v", all[1])
	}
	// The name a.test resolves nowhere, but the address of a diagnosis is resolved.
	conn, err := d.Dial(t.Context(), all[0].Addresses[0].Addr)
	if err != nil {
		t.Fatalf("dial the address of a diagnosis: %v", err)
	}
	conn.Close()
}

func TestDiagnosisEndsWithItsContext(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	ctx, cancel := context.WithCancel(t.Context())
	p := peertest.Start(t, func(conn net.Conn) { peertest.Answer(conn, "S"); peertest.ReadHello(conn); cancel() })
	d := newTestDialer(t, ca, nil, p.Addr)
	defer d.Close()
	all := Run(ctx, d, Options{})
	if got := all[0].Addresses[0]; !got.Skipped || got.Failed != "" || got.Err != nil {
		t.Errorf("%+v, want nothing but skipped", got)
	}
	var failure *tlsorigin.Error
	if _, err := d.Dial(ctx, nil); errors.As(err, &failure) {
		t.Errorf("Dial blames the upstream: %v", failure)
	}
}
