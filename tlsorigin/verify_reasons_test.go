package tlsorigin

import (
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// reasonRow is a chain with several things wrong, and all that has to be said of it.
type reasonRow struct {
	name  string
	pair  *tlstest.Pair
	crls  [][]byte
	pins  []string
	kind  Reason
	also  []Reason
	wants []string
}

func gone(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-20*24*time.Hour), time.Now().Add(-10*24*time.Hour-time.Minute)
}

func reasonRows(root *tlstest.CA) []reasonRow {
	past := time.Now().Add(-24 * time.Hour)
	oldBetween := root.Authority(tlstest.Authority{Name: "Old", Template: gone})
	clients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	everything := tlstest.Leaf{
		CommonName: "server", DNSNames: []string{"other.test"}, NotAfter: past, ExtKeyUsage: clients,
		Key: tlstest.RSA1024, KeyUsage: x509.KeyUsageKeyEncipherment,
	}
	all := oldBetween.Issue(everything)
	noPin := []string{Pin(tlstest.NewCA("x", tlstest.P256).Cert)}
	return append(authorityRows(root, oldBetween), reasonRow{
		"everything", all,
		[][]byte{root.CRL(tlstest.CRL{Revoked: []*x509.Certificate{oldBetween.Cert}}), oldBetween.CRL(tlstest.CRL{})},
		noPin,
		ReasonCertInvalid,
		[]Reason{ReasonCertExpired, ReasonCertUsage, ReasonCertRevoked, ReasonCertPinMismatch, ReasonCertNameMismatch},
		[]string{`"server" expired`, `"Old" expired`, `valid for "other.test", not "db.test"`, "clientAuth", "digitalSignature", "1024 bits", `"Old" (serial`, "pinned keys"},
	})
}

func authorityRows(root, oldBetween *tlstest.CA) []reasonRow {
	renewed := tlstest.NewCA("Test Root", tlstest.P256)
	past := time.Now().Add(-24 * time.Hour)
	narrow := root.Authority(tlstest.Authority{Name: "Narrow", Template: func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"elsewhere.test"} }})
	notCA := root.Authority(tlstest.Authority{Name: "No CA", Template: func(c *x509.Certificate) { c.IsCA = false }})
	return []reasonRow{
		{
			"expired intermediate, which crypto/x509 takes for an unknown authority", oldBetween.Issue(tlstest.Leaf{DNSNames: []string{testName}}), nil, nil,
			ReasonCertExpired, nil,
			[]string{`certificate "Old" expired`, "10 days ago"},
		},
		{
			"expired intermediate and another name", oldBetween.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}), nil, nil,
			ReasonCertExpired,
			[]Reason{ReasonCertNameMismatch},
			[]string{`certificate "Old" expired`, `not "db.test"`},
		},
		{
			"no authority, and expired", notCA.Issue(tlstest.Leaf{DNSNames: []string{testName}, NotAfter: past}), nil, nil,
			ReasonCertInvalid,
			[]Reason{ReasonCertExpired},
			[]string{`"No CA" signed another certificate but is not an authority`},
		},
		{
			"name constraints, and another name", narrow.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}), nil, nil,
			ReasonCertInvalid,
			[]Reason{ReasonCertNameMismatch},
			[]string{"name constraints"},
		},
		{
			"unknown authority, expired intermediate and another name",
			tlstest.NewCA("Evil Root", tlstest.P256).Authority(tlstest.Authority{Name: "Old", Template: gone}).Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}), nil, nil,
			ReasonCertUnknownAuthority, nil,
			[]string{`not trusted: "Evil Root"`},
		},
		{
			"a stranger's self-signed certificate, expired and of another name", tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{"other.test"}, NotAfter: past}), nil, nil,
			ReasonCertUnknownAuthority, nil,
			[]string{"is self-signed and not among the trusted certificates"},
		},
		{
			"signed with SHA-1", root.Issue(tlstest.Leaf{DNSNames: []string{testName}, Form: tlstest.Form{SHA1: true}}), nil, nil,
			ReasonCertInvalid, nil,
			[]string{"ECDSA-SHA1, which can be forged"},
		},
		{
			"another key under the name of the root", renewed.Issue(tlstest.Leaf{DNSNames: []string{testName}}), nil, nil,
			ReasonCertUnknownAuthority, nil,
			[]string{`names the trusted authority "Test Root" as its issuer, but was not signed with that authority's key`},
		},
		{
			"the same above an intermediate", renewed.Intermediate("Between", tlstest.P256).Issue(tlstest.Leaf{DNSNames: []string{testName}}), nil, nil,
			ReasonCertUnknownAuthority, nil,
			[]string{`certificate "Between" names the trusted authority "Test Root" as its issuer`},
		},
		{
			"revoked and another name", root.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}),
			[][]byte{tlstest.NewCA("x", tlstest.P256).CRL(tlstest.CRL{})},
			nil,
			ReasonCRLMissing,
			[]Reason{ReasonCertNameMismatch},
			[]string{"no CRL of its issuer"},
		},
	}
}

func TestAllReasons(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	for _, row := range reasonRows(root) {
		t.Run(row.name, func(t *testing.T) {
			p := peertest.Start(t, peertest.Presents(row.pair))
			d := newTestDialer(t, root, func(c *Config) {
				c.Pins = row.pins
				if row.crls != nil {
					c.CRLFile = peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), tlstest.CRLPEM(row.crls...), 0o644)
				}
			}, p.Addr)
			failure := dialFailure(t, d)
			t.Log(failure)
			if failure.Kind != row.kind || !slices.Equal(failure.Also, row.also) {
				t.Errorf("reasons %s, %s; want %s, %s", failure.Kind, failure.Also, row.kind, row.also)
			}
			for _, want := range row.wants {
				if !strings.Contains(failure.Text, want) {
					t.Errorf("text %q lacks %q", failure.Text, want)
				}
			}
			checkSafe(t, failure.Text)
			if anchored := failure.Kind != ReasonCertUnknownAuthority; failure.Anchored != anchored && !strings.Contains(row.name, "SHA-1") {
				t.Errorf("anchored: %v", failure.Anchored)
			}
			if !failure.Anchored && strings.Contains(failure.Text, "other.test\", not") {
				t.Errorf("text %q has a name that nobody vouches for", failure.Text)
			}
			if again := dialFailure(t, d); again.Text != failure.Text {
				t.Errorf("the next failure reads otherwise: %q", again.Text)
			}
		})
	}
}

func TestErrorDescribesThePeer(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	pair := root.Issue(tlstest.Leaf{CommonName: "server", DNSNames: []string{"a.test", "b.test"}, IPs: []net.IP{net.IPv6loopback}})
	failure := dialFailure(t, newTestDialer(t, root, nil, peertest.Start(t, peertest.Presents(pair)).Addr))
	peer := failure.Peer
	if peer == nil {
		t.Fatal("no peer")
	}
	if peer.Subject != `"server"` || peer.Issuer != `"Test Root"` || peer.SHA256 != Fingerprint(pair.Leaf) || peer.Serial != verify.SerialText(pair.Leaf) ||
		!slices.Equal(peer.Names, []string{`"a.test"`, `"b.test"`, `"::1"`}) || !peer.NotAfter.Equal(pair.Leaf.NotAfter) || !peer.NotBefore.Equal(pair.Leaf.NotBefore) {
		t.Errorf("peer %+v", peer)
	}
	if failure.ExpectedName != testName {
		t.Errorf("expected name %q", failure.ExpectedName)
	}
	refused := dialFailure(t, newTestDialer(t, root, nil, peertest.Start(t, peertest.Answers("N")).Addr))
	if refused.Peer != nil || refused.Also != nil || refused.ExpectedName != "" {
		t.Errorf("a certificate where there was none: %+v", refused)
	}
}

// A peer that sends a great many certificates costs neither a long text nor a long time.
func TestManyCertificatesAreJudgedInBounds(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	gone := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	ca := root
	for i := range verify.MaxPath {
		ca = ca.Authority(tlstest.Authority{Name: fmt.Sprint(i, strings.Repeat(" evil", 50)), Template: gone})
	}
	failure := dialFailure(t, newTestDialer(t, root, nil, peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}))).Addr))
	checkSafe(t, failure.Text)
	if !strings.Contains(failure.Text, "more problems") {
		t.Errorf("text %q", failure.Text)
	}
}

func TestUnusableCertificates(t *testing.T) {
	for text, want := range map[string]string{
		"tls: server sent certificate containing RSA key larger than 8192 bits":                        "at most 8192 bits",
		"tls: server's certificate contains an unsupported type of public key: <nil>":                  "kind of key that is not supported",
		"tls: failed to parse certificate from server: x509: malformed certificate: \x1b[2J db.test\n": "cannot be parsed",
		"tls: something else": "",
	} {
		got := unusableCertificate(&net.ParseError{Text: text})
		if (want == "") != (got == nil) {
			t.Errorf("%q: %v, want %q", text, got, want)
		}
		if got == nil {
			continue
		}
		if !strings.Contains(got.text, want) {
			t.Errorf("%q: %q, want %q", text, got.text, want)
		}
		checkSafe(t, got.text)
	}
}
