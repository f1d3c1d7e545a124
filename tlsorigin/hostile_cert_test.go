package tlsorigin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// hostilePeer is a certificate message that was made to cost processor time or to fill a client's screen.
type hostilePeer struct {
	name string
	pair *tlstest.Pair
}

// sharedHostilePeers are made once: their P-521 keys take long under the race detector.
var sharedHostilePeers = sync.OnceValues(func() (*tlstest.CA, []hostilePeer) {
	ca := tlstest.NewCA("Test Root", tlstest.P521)
	return ca, hostilePeers(ca, tlstest.P521)
})

// hostilePeers are what a stranger can send, and what the owner of some certificate of ca can; key is that of
// their authorities.
func hostilePeers(ca *tlstest.CA, key tlstest.KeyType) []hostilePeer {
	named := func(change func(*x509.Certificate)) tlstest.Leaf {
		return tlstest.Leaf{CommonName: "db.test", DNSNames: []string{"db.test"}, Template: change}
	}
	selfSigned := func(change func(*x509.Certificate)) *tlstest.Pair { return tlstest.SelfSigned(named(change)) }
	longID := append(asn1.ObjectIdentifier{1, 3}, make([]int, 20_000)...)
	return []hostilePeer{
		{"subject of 7,000 names", tlstest.SelfSigned(tlstest.Leaf{Template: func(c *x509.Certificate) { c.RawSubject = longSubject(7_000) }})},
		{"subject of 4,000 names under the CA", ca.Issue(tlstest.Leaf{Template: func(c *x509.Certificate) { c.RawSubject = longSubject(4_000) }})},
		{"end entity with 33 fake authorities", fakeAuthorities(ca, key, 33)},
		{"authorities that sign one another", mutualAuthorities(tlstest.NewCA("Ring", key), 16)},
		{"authorities that sign one another under the CA", mutualAuthorities(ca.Intermediate("Ring", key), 16)},
		{"20,000 key usages", selfSigned(func(c *x509.Certificate) {
			for range 20_000 {
				c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
			}
			c.ExtKeyUsage = c.ExtKeyUsage[1:]
		})},
		{"9,000 key usages under the CA", ca.Issue(tlstest.Leaf{DNSNames: []string{"db.test"}, ExtKeyUsage: []x509.ExtKeyUsage{}, Template: func(c *x509.Certificate) {
			for range 9_000 {
				c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
			}
		}})},
		{"long OID", selfSigned(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: longID, Critical: true, Value: []byte{5, 0}}}
		})},
		{"long OID under the CA", ca.Issue(named(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: longID, Critical: true, Value: []byte{5, 0}}}
		}))},
		{"4,500 alternative names", ca.Issue(tlstest.Leaf{DNSNames: manyNames(4_500)})},
		{"200 strangers", strangers(tlstest.NewCA("Ring", tlstest.P256), 200)},
		{"15,000 extensions", selfSigned(func(c *x509.Certificate) {
			for i := range 15_000 {
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, i}, Value: []byte{5, 0}})
			}
		})},
		{"constraints against names", constrained(tlstest.NewCA("Narrow", tlstest.P256), 3_000)},
		{"constraints against names, under a false authority", constrained(falseAuthority(ca, key), 1_500)},
	}
}

func longSubject(n int) []byte {
	var sequence pkix.RDNSequence
	for i := range n {
		sequence = append(sequence, pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: fmt.Sprintf("u%d", i)}})
	}
	der, err := asn1.Marshal(sequence)
	if err != nil {
		panic(err)
	}
	return der
}

func manyNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%d.other.test", i))
	}
	return names
}

// falseAuthority is an end entity of ca that signs others as if it were an authority.
func falseAuthority(ca *tlstest.CA, key tlstest.KeyType) *tlstest.CA {
	return ca.Authority(tlstest.Authority{Name: "End entity", Key: key, Template: func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }})
}

// fakeAuthorities is an end entity of ca that signs a certificate as if it were an authority, with n more
// certificates of its name and key behind it.
func fakeAuthorities(ca *tlstest.CA, key tlstest.KeyType, n int) *tlstest.Pair {
	end := falseAuthority(ca, key)
	pair := end.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}})
	chain := []*x509.Certificate{end.Cert}
	for i := range n {
		chain = append(chain, end.CrossSign(end, func(c *x509.Certificate) { c.DNSNames = []string{fmt.Sprint(i)} }).Cert)
	}
	return pair.WithChain(chain...)
}

// mutualAuthorities are n certificates of one name and one key, told apart by alternative names: each can
// vouch for each.
func mutualAuthorities(ca *tlstest.CA, n int) *tlstest.Pair {
	chain := []*x509.Certificate{ca.Cert}
	for i := range n {
		chain = append(chain, ca.CrossSign(ca, func(c *x509.Certificate) { c.DNSNames = []string{fmt.Sprint(i)} }).Cert)
	}
	return ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}).WithChain(chain...)
}

// strangers is a certificate of ca with n different self-signed ones behind it that have nothing to do with
// it.
func strangers(ca *tlstest.CA, n int) *tlstest.Pair {
	var chain []*x509.Certificate
	for i := range n {
		chain = append(chain, ca.CrossSign(ca, func(c *x509.Certificate) { c.Subject.CommonName = fmt.Sprint("stranger ", i) }).Cert)
	}
	return ca.Issue(tlstest.Leaf{DNSNames: []string{"other.test"}}).WithChain(chain...)
}

// constrained is a certificate with n names below an authority with n constraints on them.
func constrained(ca *tlstest.CA, n int) *tlstest.Pair {
	narrow := ca.Authority(tlstest.Authority{Name: "Constraints", Template: func(c *x509.Certificate) { c.PermittedDNSDomains = manyNames(n) }})
	return narrow.Issue(tlstest.Leaf{DNSNames: manyNames(n)})
}

// What a peer sends says little over the wire, too, and nothing of it is accepted.
func TestHostileCertificatesSayLittle(t *testing.T) {
	ca, peers := sharedHostilePeers()
	for _, row := range peers {
		t.Run(row.name, func(t *testing.T) {
			d := newTestDialer(t, ca, nil, peertest.Start(t, peertest.Presents(row.pair)).Addr)
			checkSafe(t, dialFailure(t, d).Error())
		})
	}
}
