package tlsorigin

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// TestUnknownAlgorithmsHaveNames: Go parses certificates with keys that it cannot use.
func TestUnknownAlgorithmsHaveNames(t *testing.T) {
	pair := tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{testName}, Key: tlstest.Ed25519})
	leaf, err := x509.ParseCertificate(pair.TLS().Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	ed25519 := asn1.ObjectIdentifier{1, 3, 101, 112}
	for _, row := range []struct {
		id   asn1.ObjectIdentifier
		want string
	}{
		{asn1.ObjectIdentifier{1, 3, 101, 113}, "Ed448"},
		{asn1.ObjectIdentifier{1, 3, 101, 99}, "OID 1.3.101.99"},
	} {
		before, _ := asn1.Marshal(ed25519)
		after, _ := asn1.Marshal(row.id)
		cert, err := x509.ParseCertificate(bytes.ReplaceAll(leaf.Raw, before, after))
		if err != nil {
			t.Fatal(err)
		}
		got := DescribeCertificate(cert, time.Now())
		if got.Key != row.want || got.SignatureAlgorithm != row.want {
			t.Errorf("key %q, signature %q, want %q", got.Key, got.SignatureAlgorithm, row.want)
		}
	}
	got := DescribeCertificate(leaf, time.Now())
	if got.Key != "Ed25519" || got.SignatureAlgorithm != "Ed25519" {
		t.Errorf("key %q, signature %q", got.Key, got.SignatureAlgorithm)
	}
	if got := algorithmName(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, 18}); got != "ML-DSA-65" {
		t.Errorf("ML-DSA-65 is %q", got)
	}
	if got := algorithmName(make(asn1.ObjectIdentifier, 1000)); len(got) > 100 {
		t.Errorf("a name of %d bytes", len(got))
	}
	if got := unknownKey(new(x509.Certificate)); got != "unknown" || strings.Contains(signatureText(new(x509.Certificate)), "OID") {
		t.Errorf("no certificate has %q", got)
	}
}
