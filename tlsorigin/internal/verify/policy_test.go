package verify

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// Without roots crypto/x509 would take the system's, so it must not even be asked.
func TestNobodyIsTrustedWithoutRoots(t *testing.T) {
	good := tlstest.NewCA("Test Root", tlstest.P256).Issue(tlstest.Leaf{}).Leaf
	rootless := Policy{IgnoreName: true}
	if _, err := rootless.Verify([]*x509.Certificate{good}, "", time.Now()); !errors.Is(err, errNoAuthority) {
		t.Errorf("without any configured authority: %v", err)
	}
}

func TestUnapprovedKeys(t *testing.T) {
	for key, want := range map[tlstest.KeyType]bool{tlstest.P224: true, tlstest.P256: false, tlstest.P521: false, tlstest.Ed25519: false, tlstest.RSA2048: false} {
		chain := []*x509.Certificate{tlstest.SelfSigned(tlstest.Leaf{}).Leaf, tlstest.NewCA("Root", key).Cert}
		if got := hasUnapprovedKey(chain); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
}
