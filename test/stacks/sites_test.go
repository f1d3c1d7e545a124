//go:build stacks

package stacks

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// serverName is the name that clients ask for, unless a site says otherwise.
const serverName = "db.pgorigin.test"

// site is a server that differs from the ordinary one in one thing.
type site struct {
	name   string
	chain  func() material   // nil: ordinaryChain
	asked  string            // for; empty: serverName
	config func(*tls.Config) // changes it
	box    box
	real   *real // a PostgreSQL serves, for what crypto/tls cannot
}

// real says how that PostgreSQL differs from Debian's.
type real struct {
	openssl  string   // lines of the section of OPENSSL_CONF
	settings []string // of postgresql.conf
}

// material is what a server presents, and what its clients trust.
type material struct {
	pair  *tlstest.Pair
	cert  func(*tls.Certificate) // changes what is sent
	roots []byte                 // PEM
}

// A root of one key and a certificate of another.
func chain(root, leaf tlstest.KeyType) func() material {
	return func() material {
		ca := tlstest.NewCA("Test Root", root)
		return material{pair: ca.Issue(named(leaf)), roots: ca.PEM()}
	}
}

// named is what a certificate for the server has.
func named(key tlstest.KeyType) tlstest.Leaf {
	usage := x509.KeyUsageDigitalSignature
	if key == tlstest.RSA2048 || key == tlstest.RSA1024 || key == tlstest.RSA3072 || key == tlstest.RSA4096 {
		usage |= x509.KeyUsageKeyEncipherment
	}
	return tlstest.Leaf{CommonName: serverName, DNSNames: []string{serverName}, Key: key, KeyUsage: usage}
}

func ordinaryChain() material { return chain(tlstest.P256, tlstest.P256)() }

// below is a root of one key, an intermediate of another and a certificate.
func below(root, intermediate, leaf tlstest.KeyType) func() material {
	return func() material {
		ca := tlstest.NewCA("Test Root", root)
		issuer := ca.Intermediate("Test Intermediate", intermediate)
		return material{pair: issuer.Issue(named(leaf)), roots: ca.PEM()}
	}
}

// signed is a certificate that an authority signed with an algorithm.
func signed(key tlstest.KeyType, algorithm x509.SignatureAlgorithm) func() material {
	return func() material {
		ca := tlstest.NewCA("Test Root", key)
		leaf := named(tlstest.P256)
		leaf.Template = func(c *x509.Certificate) { c.SignatureAlgorithm = algorithm }
		return material{pair: ca.Issue(leaf), roots: ca.PEM()}
	}
}

// changed is an ordinary chain whose certificate was changed before it was signed.
func changed(change func(*tlstest.Leaf)) func() material {
	return func() material {
		ca := tlstest.NewCA("Test Root", tlstest.P256)
		leaf := named(tlstest.P256)
		change(&leaf)
		return material{pair: ca.Issue(leaf), roots: ca.PEM()}
	}
}

// rooted is an ordinary chain with a root that was changed before it was signed.
func rooted(root tlstest.Authority) func() material {
	return func() material {
		root.Name = "Test Root"
		ca := tlstest.NewAuthority(root)
		return material{pair: ca.Issue(named(tlstest.P256)), roots: ca.PEM()}
	}
}

// resigned is an ordinary chain whose certificate was changed in its encoding.
func resigned(edit func([]asn1.RawValue) []asn1.RawValue) func() material {
	return func() material {
		ca := tlstest.NewCA("Test Root", tlstest.P256)
		pair := ca.Issue(named(tlstest.P256))
		der := ca.Resign(pair.Leaf.Raw, crypto.SHA256, edit)
		return material{pair: pair, roots: ca.PEM(), cert: func(c *tls.Certificate) {
			c.Certificate, c.Leaf = [][]byte{der}, nil
		}}
	}
}

// serial replaces the serial number, which stands behind the version.
func serial(content ...byte) func([]asn1.RawValue) []asn1.RawValue {
	return func(elements []asn1.RawValue) []asn1.RawValue {
		elements[1] = asn1.RawValue{Tag: asn1.TagInteger, Bytes: content}
		return elements
	}
}

// withoutAuthorityKeyID removes an extension.
func withoutAuthorityKeyID(elements []asn1.RawValue) []asn1.RawValue {
	last := len(elements) - 1
	var all []asn1.RawValue
	if _, err := asn1.Unmarshal(elements[last].Bytes, &all); err != nil {
		panic(err)
	}
	all = slices.DeleteFunc(all, func(e asn1.RawValue) bool {
		return bytes.HasPrefix(e.Bytes, []byte{0x06, 0x03, 0x55, 0x1d, 0x23})
	})
	der, err := asn1.Marshal(all)
	if err != nil {
		panic(err)
	}
	elements[last] = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 3, IsCompound: true, Bytes: der}
	return elements
}

func sites() []site {
	return slices.Concat(keySites(), signatureSites(), nameSites(), formSites(), chainSites(), agreementSites())
}

// keyFromFile reads a key that the installer made.
func keyFromFile(name string) crypto.Signer {
	text, err := os.ReadFile(filepath.Join(cacheFolder(), "keys", name))
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key.(crypto.Signer)
}

func keySites() []site {
	return []site{
		{name: "ordinary: P-256"},
		{name: "RSA-2048", chain: chain(tlstest.RSA2048, tlstest.RSA2048)},
		{name: "RSA-4096", chain: chain(tlstest.RSA4096, tlstest.RSA4096)},
		{name: "key RSA-1024", chain: chain(tlstest.RSA2048, tlstest.RSA1024)},
		{name: "authority RSA-1024", chain: chain(tlstest.RSA1024, tlstest.P256)},
		{name: "authority RSA-8192", chain: rooted(tlstest.Authority{Signer: keyFromFile("rsa-8192.pem")})},
		{name: "key RSA-9216", chain: changed(func(l *tlstest.Leaf) { l.Signer = keyFromFile("rsa-9216.pem") })},
		{name: "authority RSA-9216", chain: rooted(tlstest.Authority{Signer: keyFromFile("rsa-9216.pem")})},
		{name: "P-384", chain: chain(tlstest.P384, tlstest.P384)},
		{name: "P-521", chain: below(tlstest.P521, tlstest.P521, tlstest.P521)},
		{name: "key P-521", chain: chain(tlstest.P256, tlstest.P521)},
		{name: "authority P-521", chain: chain(tlstest.P521, tlstest.P256)},
		{name: "intermediate P-521", chain: below(tlstest.P256, tlstest.P521, tlstest.P256)},
		{name: "key Ed25519", chain: chain(tlstest.P256, tlstest.Ed25519)},
		{name: "authority Ed25519", chain: chain(tlstest.Ed25519, tlstest.P256)},
		{name: "intermediate Ed25519", chain: below(tlstest.P256, tlstest.Ed25519, tlstest.P256)},
		{
			name: "key P-224, TLS 1.2", chain: chain(tlstest.P256, tlstest.P224),
			config: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		},
		{name: "key only for RSA-PSS", real: &real{}, chain: func() material {
			ca := tlstest.NewCA("Test Root", tlstest.RSA2048)
			leaf := named(tlstest.RSA2048)
			leaf.Form.PSSKey = true
			return material{pair: ca.Issue(leaf), roots: ca.PEM()}
		}},
		{name: "authority only for RSA-PSS", chain: rooted(tlstest.Authority{
			Key: tlstest.RSA2048, Form: tlstest.Form{PSSKey: true},
		})},
	}
}

func signatureSites() []site {
	return []site{
		{name: "RSA with SHA-512", chain: signed(tlstest.RSA2048, x509.SHA512WithRSA)},
		{name: "RSA with PSS", chain: signed(tlstest.RSA2048, x509.SHA256WithRSAPSS)},
		{name: "P-256 with SHA-384", chain: signed(tlstest.P256, x509.ECDSAWithSHA384)},
		{name: "P-256 with SHA-512", chain: signed(tlstest.P256, x509.ECDSAWithSHA512)},
		{name: "P-384 with SHA-256", chain: signed(tlstest.P384, x509.ECDSAWithSHA256)},
		{name: "P-384 with SHA-512", chain: signed(tlstest.P384, x509.ECDSAWithSHA512)},
		{name: "P-521 with SHA-256", chain: signed(tlstest.P521, x509.ECDSAWithSHA256)},
		{name: "RSA with SHA-1", chain: func() material {
			ca := tlstest.NewCA("Test Root", tlstest.RSA2048)
			leaf := named(tlstest.P256)
			leaf.Form.SHA1 = true
			return material{pair: ca.Issue(leaf), roots: ca.PEM()}
		}},
		{name: "P-256 with SHA-1", chain: changed(func(l *tlstest.Leaf) { l.Form.SHA1 = true })},
		{name: "root signed with SHA-1", chain: rooted(tlstest.Authority{Form: tlstest.Form{SHA1: true}})},
	}
}

func nameSites() []site {
	return []site{
		{name: "name only in CN", chain: changed(func(l *tlstest.Leaf) { l.DNSNames = nil })},
		{name: "IP address", asked: "127.0.0.1", chain: changed(func(l *tlstest.Leaf) {
			l.DNSNames, l.IPs = nil, []net.IP{net.IPv4(127, 0, 0, 1)}
		})},
		{name: "IP address as DNS name", asked: "127.0.0.1", chain: changed(func(l *tlstest.Leaf) {
			l.DNSNames = []string{"127.0.0.1"}
		})},
		{name: "wildcard", chain: changed(func(l *tlstest.Leaf) { l.DNSNames = []string{"*.pgorigin.test"} })},
		{
			name: "underscore", asked: "my_db.pgorigin.test",
			chain: changed(func(l *tlstest.Leaf) { l.DNSNames = []string{"my_db.pgorigin.test"} }),
		},
		{
			name: "underscore and wildcard", asked: "my_db.pgorigin.test",
			chain: changed(func(l *tlstest.Leaf) { l.DNSNames = []string{"*.pgorigin.test"} }),
		},
		{name: "name constraint", chain: rooted(tlstest.Authority{Template: func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"pgorigin.test"}
		}})},
	}
}

// selfSigned is a certificate that is its own authority.
func selfSigned(change func(*x509.Certificate)) func() material {
	return func() material {
		leaf := named(tlstest.P256)
		leaf.KeyUsage, leaf.ExtKeyUsage, leaf.Template = tlstest.NoKeyUsage, []x509.ExtKeyUsage{}, change
		pair := tlstest.SelfSigned(leaf)
		return material{pair: pair, roots: pair.CertPEM()}
	}
}

func formSites() []site {
	long := func(l *tlstest.Leaf) { l.NotAfter = time.Now().AddDate(10, 0, 0) }
	return []site{
		{name: "self-signed", chain: selfSigned(nil)},
		{name: "self-signed by openssl req -x509", chain: selfSigned(func(c *x509.Certificate) {
			c.BasicConstraintsValid, c.IsCA = true, true
		})},
		{name: "CA certificate as server's", chain: changed(func(l *tlstest.Leaf) {
			l.Template = func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true }
		})},
		{name: "X.509 version 1", chain: changed(func(l *tlstest.Leaf) { l.Form.Version1 = true })},
		{name: "root of X.509 version 1", chain: rooted(tlstest.Authority{Form: tlstest.Form{Version1: true}})},
		{name: "root without key usage", chain: rooted(tlstest.Authority{
			Template: func(c *x509.Certificate) { c.KeyUsage = 0 },
		})},
		{name: "root whose basic constraints are not critical", chain: rooted(tlstest.Authority{
			Template: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{
					Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 0x03, 0x01, 0x01, 0xff},
				}}
			},
		})},
		{name: "no key identifier of the authority", chain: resigned(withoutAuthorityKeyID)},
		{name: "valid for ten years", chain: changed(long)},
		{name: "no extended key usage", chain: changed(func(l *tlstest.Leaf) {
			l.ExtKeyUsage = []x509.ExtKeyUsage{}
		})},
		{name: "negative serial number", chain: resigned(serial(0x81, 0x22, 0x33))},
		{name: "serial number zero", chain: resigned(serial(0))},
		{name: "serial number of 24 bytes", chain: resigned(serial(
			1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24))},
	}
}

func chainSites() []site {
	return []site{
		{name: "intermediate", chain: below(tlstest.P256, tlstest.P256, tlstest.P256)},
		{name: "missing intermediate", chain: func() material {
			m := below(tlstest.P256, tlstest.P256, tlstest.P256)()
			m.pair = m.pair.WithChain()
			return m
		}},
		{name: "only the intermediate is trusted", chain: func() material {
			ca := tlstest.NewCA("Test Root", tlstest.P256).Intermediate("Test Intermediate", tlstest.P256)
			return material{pair: ca.Issue(named(tlstest.P256)), roots: ca.PEM()}
		}},
		{name: "the root is sent, too", chain: func() material {
			ca := tlstest.NewCA("Test Root", tlstest.P256)
			pair := ca.Issue(named(tlstest.P256))
			return material{pair: pair.WithChain(ca.Cert), roots: ca.PEM()}
		}},
		{name: "chain in the wrong order", chain: func() material {
			root := tlstest.NewCA("Test Root", tlstest.P256)
			first := root.Intermediate("Test Intermediate 1", tlstest.P256)
			second := first.Intermediate("Test Intermediate 2", tlstest.P256)
			pair := second.Issue(named(tlstest.P256))
			return material{pair: pair.WithChain(first.Cert, second.Cert), roots: root.PEM()}
		}},
		{name: "an expired certificate is sent, too", chain: expiredCrossSign},
		{name: "twelve other certificates are sent, too", chain: func() material {
			ca := tlstest.NewCA("Test Root", tlstest.P256)
			var others []*x509.Certificate
			for range 12 {
				others = append(others, tlstest.NewCA("Another Root", tlstest.P256).Cert)
			}
			return material{pair: ca.Issue(named(tlstest.P256)).WithChain(others...), roots: ca.PEM()}
		}},
	}
}

// expiredCrossSign sends its root once more, as an old authority certified it until last year.
func expiredCrossSign() material {
	old := tlstest.NewCA("Old Root", tlstest.P256)
	root := tlstest.NewCA("Test Root", tlstest.P256)
	crossed := old.CrossSign(root, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(-3, 0, 0), time.Now().AddDate(-1, 0, 0)
	})
	ca := root.Intermediate("Test Intermediate", tlstest.P256)
	pair := ca.Issue(named(tlstest.P256))
	return material{pair: pair.WithChain(ca.Cert, crossed.Cert), roots: append(root.PEM(), old.PEM()...)}
}
