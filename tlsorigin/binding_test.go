package tlsorigin

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// The hash follows the signature of the certificate, that is the key of its issuer.
func TestServerEndPoint(t *testing.T) {
	tests := []struct {
		issuer tlstest.KeyType
		want   func(der []byte) []byte // nil: nothing to bind to
	}{
		{tlstest.RSA2048, func(der []byte) []byte { h := sha256.Sum256(der); return h[:] }},
		{tlstest.P256, func(der []byte) []byte { h := sha256.Sum256(der); return h[:] }},
		{tlstest.P384, func(der []byte) []byte { h := sha512.Sum384(der); return h[:] }},
		{tlstest.P521, func(der []byte) []byte { h := sha512.Sum512(der); return h[:] }},
		{tlstest.Ed25519, nil},
	}
	for _, tt := range tests {
		t.Run(string(tt.issuer), func(t *testing.T) {
			ca := tlstest.NewCA("CA", tt.issuer)
			pair := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
			p := peertest.Start(t, peertest.Presents(pair))
			conn, err := newTestDialer(t, ca, nil, p.Addr).Dial(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var want []byte
			if tt.want != nil {
				want = tt.want(pair.Leaf.Raw)
			}
			got, err := conn.ServerEndPoint()
			if !bytes.Equal(got, want) || (err == nil) != (want != nil) {
				t.Errorf("signed %v: %x (%v), want %x", pair.Leaf.SignatureAlgorithm, got, err, want)
			}
			if able := conn.CanBind(); able != (want != nil) {
				t.Errorf("signed %v: can bind: %v", pair.Leaf.SignatureAlgorithm, able)
			}
		})
	}
}
