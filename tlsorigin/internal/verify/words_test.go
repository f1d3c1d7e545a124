package verify

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func checkSafe(t *testing.T, text string) {
	t.Helper()
	if problem := tlstest.Unsafe(text); problem != "" {
		t.Errorf("text %q: %s", text, problem)
	}
}

func TestHostileCertificateTexts(t *testing.T) {
	now := time.Now()
	for _, name := range tlstest.HostileNames() {
		many := strings.Split(strings.Repeat(name+"|", 20), "|")
		certs := []*x509.Certificate{
			{Subject: pkix.Name{CommonName: name}, Issuer: pkix.Name{CommonName: name}, RawSubject: []byte("a"), RawIssuer: []byte("b")},
			{Subject: pkix.Name{Organization: many}, Issuer: pkix.Name{Organization: many}, RawSubject: []byte("a"), RawIssuer: []byte("b")},
			{DNSNames: many, RawSubject: []byte("a"), RawIssuer: []byte("a")},
			{DNSNames: many, IPAddresses: []net.IP{nil, []byte(name)[:2]}},
		}
		for _, cert := range certs {
			cert.NotAfter = now.Add(-time.Hour)
			sent := []*x509.Certificate{cert, cert}
			checkSafe(t, nameText(cert, "db.test"))
			checkSafe(t, new(Policy).stranger(sent).Text)
			for _, err := range []error{x509.UnhandledCriticalExtension{}, net.ErrClosed} {
				checkSafe(t, explain(err, sent).Text)
			}
			for reason := x509.NotAuthorizedToSign; reason <= x509.NoValidChains+1; reason++ {
				checkSafe(t, explain(x509.CertificateInvalidError{Cert: cert, Reason: reason, Detail: name}, sent).Text)
			}
		}
	}
}
