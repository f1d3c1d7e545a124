package verify

import (
	"encoding/pem"
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

func TestFilesInDER(t *testing.T) {
	pair := tlstest.NewCA("Test Root", tlstest.P256).Issue(tlstest.Leaf{CommonName: "app"})
	key, _ := pem.Decode(pair.KeyPEM())
	for name, row := range map[string]struct {
		data []byte
		want string
	}{
		"certificate":    {pair.Leaf.Raw, "openssl x509 -inform der"},
		"key":            {key.Bytes, "openssl pkey -inform der"},
		"PKCS #12":       {[]byte("\x30\x06\x02\x01\x03\x30\x01\x00"), "openssl pkcs12 -nodes"},
		"something else": {[]byte("0123"), "openssl x509 -inform der"},
	} {
		_, err := ParseCertificates(row.data, KeysToo)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}
