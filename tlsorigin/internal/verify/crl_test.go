package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func FuzzRevocations(f *testing.F) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	chain := []*x509.Certificate{root.Issue(tlstest.Leaf{}).Leaf, root.Cert}
	f.Add(tlstest.CRLPEM(root.CRL(tlstest.CRL{Revoked: chain})))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseCRLs(data)
		if err != nil {
			return
		}
		if len(r.byIssuer) == 0 {
			t.Error("no list and no error")
		}
		for _, found := range r.problems(chain, time.Now()) {
			checkSafe(t, found.Text)
		}
		blocks, _ := parseBlocks(data)
		for _, block := range blocks {
			checkSameList(t, block.Bytes)
		}
	})
}

// checkSameList compares parseList, which has accepted der, with crypto/x509.
func checkSameList(t *testing.T, der []byte) {
	t.Helper()
	list, err := parseList(der)
	if err != nil {
		t.Fatal(err)
	}
	want, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatalf("crypto/x509 does not accept the list: %v", err)
	}
	for _, entry := range want.RevokedCertificateEntries {
		found, ok := list.revoked.find(&x509.Certificate{SerialNumber: entry.SerialNumber})
		if !ok || !slices.ContainsFunc(want.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(entry.SerialNumber) == 0 && e.RevocationTime.Equal(found.at) && e.ReasonCode == found.reason
		}) {
			t.Errorf("serial number %v: %+v, %v, want %+v", entry.SerialNumber, found, ok, entry)
		}
	}
	count := 0
	for _, table := range list.revoked {
		count += table.Len()
	}
	if count != len(want.RevokedCertificateEntries) {
		t.Errorf("%d entries, want %d", count, len(want.RevokedCertificateEntries))
	}
}

func TestListsReadAsByTheLibrary(t *testing.T) {
	for _, key := range []tlstest.KeyType{tlstest.P256, tlstest.P384, tlstest.P521, tlstest.RSA2048, tlstest.Ed25519} {
		root, stranger := tlstest.NewCA("Test Root", key), tlstest.NewCA("Test Root", key)
		var certs []*x509.Certificate
		for _, serial := range []int64{0, 1, 127, 128, 255, 256, 1 << 40} {
			certs = append(certs, &x509.Certificate{SerialNumber: big.NewInt(serial)})
		}
		for reason, certs := range map[int][]*x509.Certificate{0: nil, 1: certs[1:], 6: {root.Cert}} {
			der := root.CRL(tlstest.CRL{Revoked: certs, Reason: reason})
			checkSameList(t, der)
			list, _ := parseList(der)
			if !list.signed(root.Cert) || list.signed(stranger.Cert) {
				t.Errorf("%s: signed by its issuer %v, by another %v", key, list.signed(root.Cert), list.signed(stranger.Cert))
			}
			if _, ok := list.revoked.find(&x509.Certificate{SerialNumber: big.NewInt(300)}); ok {
				t.Error("what is not in the list is found")
			}
		}
	}
}

// The last entry of a long list is found, and its signature is recognised.
func TestLongListsAreSearched(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	lists, err := ParseCRLs(root.LongCRL(150_000))
	if err != nil {
		t.Fatal(err)
	}
	list := lists.byIssuer[string(root.Cert.RawSubject)][0]
	serial := sha256.Sum256([]byte("149999"))
	serial[0] = serial[0]&0x3f | 0x40
	if found, ok := list.revoked.find(&x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial[:16])}); !ok || found.at.Year() != 2026 {
		t.Errorf("the last entry: %+v, %v", found, ok)
	}
	if !list.signed(root.Cert) {
		t.Error("the signature is not recognised")
	}
}

// BenchmarkMillionEntries measures what a list of a million entries costs to read.
func BenchmarkMillionEntries(b *testing.B) {
	data := tlstest.NewCA("Test Root", tlstest.P256).LongCRL(1_000_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCRLs(data); err != nil {
			b.Fatal(err)
		}
	}
}
