//go:build hostile

package hostile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// nasty is a certificate message of a peer that is not the server.
type nasty struct {
	name  string
	chain tls.Certificate
	// stranger: the chain ends nowhere, and nothing else that the certificate says may be the reason.
	stranger bool
}

// serverLeaf has the right names, so that a stranger's chain has nothing else wrong with it. A nil change changes nothing.
func serverLeaf(change func(*x509.Certificate)) tlstest.Leaf {
	return tlstest.Leaf{
		CommonName: servers.ServerName, DNSNames: []string{servers.ServerName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
		Template: change,
	}
}

func wrongName(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"db.stranger.test"}, nil }

func runOut(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(1e9, 0), time.Unix(1.1e9, 0) }

func forClients(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }

// units is a subject of nothing but n organizational units.
func units(n int) (name pkix.Name) {
	for i := range n {
		unit := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: fmt.Sprintf("%05d", i)}
		name.ExtraNames = append(name.ExtraNames, unit)
	}
	return name
}

func nastyCertificates(ca *tlstest.CA) []nasty {
	unknown := tlstest.NewCA("a stranger's authority", tlstest.P256)
	many := func(n int, name func(i int) string) (all []string) {
		for i := range n {
			all = append(all, name(i))
		}
		return all
	}
	long := func(n int) asn1.ObjectIdentifier {
		id := asn1.ObjectIdentifier{1, 3}
		for range n {
			id = append(id, 99)
		}
		return id
	}
	stranger := func(name string, change func(*x509.Certificate)) nasty {
		return nasty{name, unknown.Issue(serverLeaf(change)).TLS(), true}
	}
	alone := func(name string, change func(*x509.Certificate)) nasty {
		return nasty{name, tlstest.SelfSigned(serverLeaf(change)).TLS(), true}
	}
	ours := func(name string, change func(*x509.Certificate)) nasty {
		return nasty{name, ca.Issue(serverLeaf(change)).TLS(), false}
	}
	manyDNS := func(c *x509.Certificate) {
		c.DNSNames = many(10000, func(i int) string { return fmt.Sprintf("n%05d.stranger.test", i) })
	}
	return []nasty{
		alone("self-signed, nothing else wrong", nil),
		alone("self-signed, wrong name", wrongName),
		alone("self-signed, run out", runOut),
		alone("self-signed, for clients", forClients),
		alone("self-signed, wrong name, run out, for clients", func(c *x509.Certificate) {
			wrongName(c)
			runOut(c)
			forClients(c)
		}),
		alone("subject and issuer of 5,000 names", func(c *x509.Certificate) { c.Subject = units(5000) }),
		stranger("subject of 10,000 names", func(c *x509.Certificate) { c.Subject = units(10000) }),
		ours("our CA, wrong name, subject of 10,000 names", func(c *x509.Certificate) {
			wrongName(c)
			c.Subject = units(10000)
		}),
		stranger("10,000 DNS names", manyDNS),
		ours("our CA, 10,000 wrong DNS names", func(c *x509.Certificate) { manyDNS(c); c.IPAddresses = nil }),
		stranger("20,000 addresses", func(c *x509.Certificate) {
			for i := range 20000 {
				c.IPAddresses = append(c.IPAddresses, net.IPv4(10, 1, byte(i>>8), byte(i)))
			}
		}),
		ours("our CA, 20,000 wrong addresses", func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = nil, nil
			for i := range 20000 {
				c.IPAddresses = append(c.IPAddresses, net.IPv4(10, 1, byte(i>>8), byte(i)))
			}
		}),
		stranger("a common name of 200 KB with control characters", func(c *x509.Certificate) {
			c.Subject.CommonName = strings.Repeat("\x1b[2J\u202e\r\n", 20000)
		}),
		stranger("addresses on the web of 200 KB", func(c *x509.Certificate) {
			c.URIs = []*url.URL{{Scheme: "https", Host: "stranger.test", Path: strings.Repeat("/x", 100000)}}
		}),
		ours("our CA, a usage with an OID of 150,000 arcs", func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = []x509.ExtKeyUsage{}, []asn1.ObjectIdentifier{long(150000)}
		}),
		ours("our CA, 20,000 unknown usages", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{}
			for i := range 20000 {
				c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99, i})
			}
		}),
		ours("our CA, 20,000 times the usage for clients", func(c *x509.Certificate) {
			c.ExtKeyUsage = nil
			for range 20000 {
				c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
			}
		}),
		ours("our CA, a critical extension with an OID of 150,000 arcs", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: long(150000), Critical: true, Value: []byte{5, 0}}}
		}),
		ours("our CA, 10,000 critical extensions", func(c *x509.Certificate) {
			for i := range 10000 {
				id := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99, i}
				c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Critical: true, Value: []byte{5, 0}})
			}
		}),
		ours("our CA, 15,000 policies and the wrong name", func(c *x509.Certificate) {
			wrongName(c)
			for i := range 15000 {
				c.PolicyIdentifiers = append(c.PolicyIdentifiers, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99, i})
			}
		}),
		fakeAuthorities(ca, "wrong name", wrongName), fakeAuthorities(ca, "run out", runOut),
		fakeAuthorities(ca, "for clients", forClients),
		ladder(), constrained(), hugeModulus(), hugeMessage(), tiny(),
		{name: "junk", chain: tls.Certificate{
			Certificate: [][]byte{bytes.Repeat([]byte{0x30, 0x80}, 100000)}, PrivateKey: tlstest.NewKey(tlstest.P256),
		}},
	}
}

// fakeAuthorities is an end-entity certificate of our CA beside 33 authorities that have nothing of it but the name.
func fakeAuthorities(ca *tlstest.CA, what string, change func(*x509.Certificate)) nasty {
	pair := ca.Issue(serverLeaf(change))
	chain := pair.TLS()
	for range 33 {
		fake := tlstest.NewAuthority(tlstest.Authority{
			Name: ca.Cert.Subject.CommonName, Key: tlstest.P521,
			Template: func(c *x509.Certificate) { c.SubjectKeyId = ca.Cert.SubjectKeyId },
		})
		chain.Certificate = append(chain.Certificate, fake.Cert.Raw)
	}
	return nasty{name: "our CA, " + what + ", 33 fake authorities", chain: chain}
}

// ladder is a hundred authorities of one name, each of which could have signed each.
func ladder() nasty {
	each := tlstest.Authority{Name: "rung", Key: tlstest.P521, Template: func(c *x509.Certificate) {
		c.SubjectKeyId = []byte("the same for all")
	}}
	rung := tlstest.NewAuthority(each)
	var rungs [][]byte
	for range 100 {
		rung = rung.Authority(each)
		rungs = append(rungs, rung.Cert.Raw)
	}
	chain := rung.Issue(serverLeaf(nil)).TLS()
	chain.Certificate = append(chain.Certificate[:1:1], rungs...)
	return nasty{"100 authorities of one name", chain, true}
}

// constrained has as many names and constraints as Go is ready to compare.
func constrained() nasty {
	root := tlstest.NewCA("a stranger's root", tlstest.P256)
	middle := root.Authority(tlstest.Authority{Name: "constrained", Template: func(c *x509.Certificate) {
		for i := range 490 {
			c.PermittedDNSDomains = append(c.PermittedDNSDomains, fmt.Sprintf("permitted%d.very.long.name.of.a.stranger.test", i))
		}
		c.PermittedDNSDomains = append(c.PermittedDNSDomains, "test")
	}})
	pair := middle.Issue(serverLeaf(func(c *x509.Certificate) {
		for i := range 480 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("name%d.very.long.name.of.another.stranger.test", i))
		}
	}))
	return nasty{"490 constraints and 480 names", pair.TLS(), true}
}

// hugeModulus is an issuer's RSA key of 900,000 bits: one look at one signature.
func hugeModulus() nasty {
	ca := tlstest.NewCA("a large key", tlstest.RSA2048)
	pair := ca.Issue(serverLeaf(nil))
	n := make([]byte, 112000)
	for i := range n {
		n[i] = 0xff
	}
	key, err := asn1.Marshal(struct{ N, E *big.Int }{new(big.Int).SetBytes(n), big.NewInt(1<<31 - 1)})
	if err != nil {
		panic(err)
	}
	type spki struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	issuer := ca.Resign(ca.Cert.Raw, 5, func(elements []asn1.RawValue) []asn1.RawValue {
		for i, e := range elements {
			var old spki
			if rest, err := asn1.Unmarshal(e.FullBytes, &old); err == nil && len(rest) == 0 && old.Key.BitLength > 2000 {
				old.Key = asn1.BitString{Bytes: key, BitLength: 8 * len(key)}
				der, err := asn1.Marshal(old)
				if err != nil {
					panic(err)
				}
				elements[i] = asn1.RawValue{FullBytes: der}
			}
		}
		return elements
	})
	var whole struct {
		Body, Algorithm asn1.RawValue
		Signature       asn1.BitString
	}
	if _, err := asn1.Unmarshal(pair.Leaf.Raw, &whole); err != nil {
		panic(err)
	}
	signature := bytes.Repeat([]byte{0x7f}, len(n))
	whole.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	leaf, err := asn1.Marshal(whole)
	if err != nil {
		panic(err)
	}
	chain := tls.Certificate{Certificate: [][]byte{leaf, issuer}, PrivateKey: pair.Key}
	return nasty{name: "an RSA key of 896,000 bits", chain: chain}
}

func hugeMessage() nasty {
	pair := tlstest.SelfSigned(serverLeaf(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 1<<20)}}
	}))
	return nasty{name: "a message of 1 MiB", chain: pair.TLS()}
}

// tiny is as many certificates as there is room for.
func tiny() nasty {
	chain := tlstest.SelfSigned(serverLeaf(nil)).TLS()
	other := tlstest.NewCA("x", tlstest.P256).Cert.Raw
	for range (250 << 10) / (len(other) + 5) {
		chain.Certificate = append(chain.Certificate, other)
	}
	return nasty{"as many certificates as fit", chain, true}
}
