package tlstest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestEveryKeyTypeMakesAChainThatVerifies(t *testing.T) {
	keys := []tlstest.KeyType{
		tlstest.P224, tlstest.P256, tlstest.P384, tlstest.P521,
		tlstest.Ed25519, tlstest.RSA1024, tlstest.RSA2048, tlstest.RSA3072,
	}
	for _, key := range keys {
		t.Run(string(key), func(t *testing.T) {
			root := tlstest.NewCA("root", key)
			pair := root.Intermediate("intermediate", key).Issue(tlstest.Leaf{DNSNames: []string{"db.test"}, Key: key})
			certs := pair.TLS()
			if got := len(certs.Certificate); got != 2 {
				t.Fatalf("chain has %d certificates, want leaf and intermediate", got)
			}
			between := x509.NewCertPool()
			if !between.AppendCertsFromPEM(pair.CertPEM()) {
				t.Fatal("CertPEM holds no certificate")
			}
			_, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "db.test", Roots: root.Pool(), Intermediates: between})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestFilesLoadAsAPair(t *testing.T) {
	pair := tlstest.NewCA("root", tlstest.P521).Issue(tlstest.Leaf{CommonName: "app", IPs: []net.IP{net.IPv6loopback}})
	cert, key, err := pair.WriteFiles(t.TempDir(), "client")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(key)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("key file has mode %04o, want 0600", got)
	}
}

func TestDefaultsAndExceptions(t *testing.T) {
	root := tlstest.NewCA("root", tlstest.P256)
	plain := root.Issue(tlstest.Leaf{}).Leaf
	if plain.KeyUsage != x509.KeyUsageDigitalSignature || plain.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("default usages: %v %v", plain.KeyUsage, plain.ExtKeyUsage)
	}
	if bare := root.Issue(tlstest.Leaf{KeyUsage: tlstest.NoKeyUsage, ExtKeyUsage: []x509.ExtKeyUsage{}}).Leaf; bare.KeyUsage != 0 || bare.ExtKeyUsage != nil {
		t.Errorf("left out usages: %v %v", bare.KeyUsage, bare.ExtKeyUsage)
	}
	past := time.Now().Add(-48 * time.Hour)
	if old := root.Issue(tlstest.Leaf{NotAfter: past}).Leaf; !old.NotBefore.Before(old.NotAfter) {
		t.Errorf("expired certificate begins %v and ends %v", old.NotBefore, old.NotAfter)
	}
}
