package tlstest_test

import (
	"crypto/x509"
	"slices"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestForms(t *testing.T) {
	for _, key := range []tlstest.KeyType{tlstest.P256, tlstest.RSA2048} {
		root := tlstest.NewCA("root", key)
		old := root.Issue(tlstest.Leaf{CommonName: "old", Form: tlstest.Form{Version1: true}}).Leaf
		if old.Version != 1 || len(old.Extensions) > 0 {
			t.Errorf("%s: version %d with %d extensions", key, old.Version, len(old.Extensions))
		}
		if err := old.CheckSignatureFrom(root.Cert); err != nil {
			t.Errorf("%s: version 1: %v", key, err)
		}
		sha1 := root.Issue(tlstest.Leaf{CommonName: "weak", Form: tlstest.Form{SHA1: true}}).Leaf
		if sha1.SignatureAlgorithm != x509.SHA1WithRSA && sha1.SignatureAlgorithm != x509.ECDSAWithSHA1 {
			t.Errorf("%s: signed with %v", key, sha1.SignatureAlgorithm)
		}
		if err := root.Cert.CheckSignature(sha1.SignatureAlgorithm, sha1.RawTBSCertificate, sha1.Signature); err != nil {
			t.Errorf("%s: SHA-1: %v", key, err)
		}
	}
	pss := tlstest.NewAuthority(tlstest.Authority{Name: "pss", Key: tlstest.RSA2048, Form: tlstest.Form{PSSKey: true}})
	if pss.Cert.PublicKey != nil || pss.Cert.SignatureAlgorithm != x509.SHA256WithRSAPSS {
		t.Errorf("a %v key in a certificate signed with %v", pss.Cert.PublicKeyAlgorithm, pss.Cert.SignatureAlgorithm)
	}
}

func TestCrossSignedAuthorityHasTwoChains(t *testing.T) {
	one, other := tlstest.NewCA("one", tlstest.P256), tlstest.NewCA("other", tlstest.P384)
	pair := one.CrossSign(other, nil).Issue(tlstest.Leaf{DNSNames: []string{"db.test"}})
	between := x509.NewCertPool()
	between.AppendCertsFromPEM(pair.CertPEM())
	for _, root := range []*tlstest.CA{one, other} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: root.Pool(), Intermediates: between}); err != nil {
			t.Errorf("below %s: %v", root.Cert.Subject.CommonName, err)
		}
	}
}

func TestCRL(t *testing.T) {
	ca := tlstest.NewCA("root", tlstest.P521)
	bad, good := ca.Issue(tlstest.Leaf{}).Leaf, ca.Issue(tlstest.Leaf{}).Leaf
	list, err := x509.ParseRevocationList(ca.CRL(tlstest.CRL{Revoked: []*x509.Certificate{bad}, Reason: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(ca.Cert); err != nil {
		t.Error(err)
	}
	listed := func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(cert.SerialNumber) == 0 && e.ReasonCode == 1
		})
	}
	if !listed(bad) || listed(good) {
		t.Errorf("lists %v", list.RevokedCertificateEntries)
	}
}
