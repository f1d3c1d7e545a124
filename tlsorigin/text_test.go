package tlsorigin

import (
	"crypto/x509"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func checkSafe(t *testing.T, text string) {
	t.Helper()
	if problem := tlstest.Unsafe(text); problem != "" {
		t.Errorf("text %q: %s", text, problem)
	}
}

func TestHostileNamesOverTheWire(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, name := range tlstest.HostileNames() {
		if !utf8.ValidString(name) {
			continue // cannot be encoded by crypto/x509; TestHostileCertificateTexts has it
		}
		evil := tlstest.NewCA(name, tlstest.P256)
		for _, pair := range []*tlstest.Pair{
			ca.Issue(tlstest.Leaf{CommonName: name}),
			evil.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{testName}}),
			ca.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{testName}, NotAfter: time.Now().Add(-time.Hour)}),
			ca.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{testName}, KeyUsage: x509.KeyUsageKeyEncipherment}),
		} {
			p := peertest.Start(t, peertest.Presents(pair))
			failure := dialFailure(t, newTestDialer(t, ca, nil, p.Addr))
			if failure.Kind.Layer() != LayerCertificate {
				t.Errorf("%q: reason %s, want one about certificates", name, failure.Kind)
			}
			checkSafe(t, failure.Error())
		}
	}
}
