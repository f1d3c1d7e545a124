package tlsorigin

import (
	"crypto/x509"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// The system's roots cannot be listed, and everything else is as with configured ones.
func TestSystemRootsVerify(t *testing.T) {
	root := tlstest.NewCA("System Root", tlstest.P256)
	between := root.Intermediate("Intermediate", tlstest.P384)
	var system systemRoots = func() (*x509.CertPool, error) { return root.Pool(), nil }
	for _, row := range []struct {
		name string
		pair *tlstest.Pair
		want Reason // empty: accepted
		also []Reason
	}{
		{"good", between.Issue(tlstest.Leaf{DNSNames: []string{testName}}), "", nil},
		{
			"expired and of another name", between.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}, NotAfter: time.Now().Add(-time.Hour)}),
			ReasonCertExpired,
			[]Reason{ReasonCertNameMismatch},
		},
		{
			"a stranger's, expired and of another name", tlstest.NewCA("System Root", tlstest.P256).Issue(tlstest.Leaf{DNSNames: []string{"other.test"}, NotAfter: time.Now().Add(-time.Hour)}),
			ReasonCertUnknownAuthority, nil,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, err := newDialer(Config{Addrs: []string{peertest.Start(t, peertest.Presents(row.pair)).Addr}, ServerName: testName}, system)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time what was accepted is known
				conn, err := d.Dial(t.Context(), nil)
				var failure *Error
				switch {
				case row.want == "" && err == nil:
					conn.Close()
				case !errors.As(err, &failure) || failure.Kind != row.want || !slices.Equal(failure.Also, row.also):
					t.Errorf("%v, want %s", err, row.want)
				}
			}
		})
	}
}

// Chains that people have are verified, whatever else is sent along.
func TestRealChainsFitTheBudget(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P521)
	ca := root
	for range verify.MaxPath - 1 {
		ca = ca.Intermediate("CA "+string(rune('A'+len(ca.Cert.Subject.CommonName)))+ca.Cert.Subject.CommonName, tlstest.P521)
	}
	deep := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	between := root.Intermediate("Intermediate", tlstest.RSA2048)
	leaf := between.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	namesakes := []*x509.Certificate{}
	for range 20 {
		namesakes = append(namesakes, root.Intermediate("Intermediate", tlstest.P256).Cert)
	}
	for name, row := range map[string]struct {
		pair  *tlstest.Pair
		roots []byte
	}{
		"eight signatures with P-521 keys":            {deep, nil},
		"root sent along":                             {leaf.WithChain(between.Cert, root.Cert), nil},
		"out of order, twice, with a lot of others":   {leaf.WithChain(slices.Concat(newFamilies(20), []*x509.Certificate{root.Cert, between.Cert, between.Cert})...), nil},
		"many authorities of one name, the right one": {leaf.WithChain(append(namesakes, between.Cert)...), nil},
		"many roots of one name":                      {leaf, manyRoots(12)},
	} {
		t.Run(name, func(t *testing.T) {
			p := peertest.Start(t, peertest.Presents(row.pair))
			conn, err := newTestDialer(t, root, func(c *Config) { c.CAPEM = string(row.roots) + c.CAPEM }, p.Addr).Dial(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}

func newFamilies(n int) (certs []*x509.Certificate) {
	for range n {
		f := newFamily()
		certs = append(certs, f.root.Cert, f.between.Cert)
	}
	return certs
}

func manyRoots(n int) (pem []byte) {
	for range n {
		pem = append(pem, tlstest.NewCA("Test Root", tlstest.P521).PEM()...)
	}
	return pem
}
