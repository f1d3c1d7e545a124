package verify

import (
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func FuzzParseCertificates(f *testing.F) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair := ca.Intermediate("Intermediate", tlstest.P256).Issue(tlstest.Leaf{CommonName: "app"})
	f.Add(ca.PEM())
	f.Add(pair.CertPEM())
	f.Add(append(pair.KeyPEM(), pair.CertPEM()...))
	f.Add([]byte("# comment\n" + string(ca.PEM()) + "\n \n" + strings.ReplaceAll(string(ca.PEM()), "\n", "\r\n")))
	f.Add(ca.PEM()[:100])
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := ParseCertificates(data, CertificatesOnly)
		if err != nil {
			if certs != nil {
				t.Errorf("%d certificates and the error %v", len(certs), err)
			}
			return
		}
		if want := strings.Count(string(data), "-----BEGIN CERTIFICATE-----"); len(certs) != want || want == 0 {
			t.Errorf("%d certificates of %d blocks", len(certs), want)
		}
	})
}
