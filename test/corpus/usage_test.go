package corpus

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func usageCases() []certCase {
	root := tlstest.NewCA("Root", tlstest.P256)
	extended := func(name string, usages ...x509.ExtKeyUsage) certCase {
		l := leaf()
		l.ExtKeyUsage = append([]x509.ExtKeyUsage{}, usages...)
		return chain(name, root.Issue(l), root)
	}
	usage := func(name string, key tlstest.KeyType, bits x509.KeyUsage) certCase {
		l := leaf()
		l.Key, l.KeyUsage = key, bits
		return chain(name, root.Issue(l), root)
	}
	between := func(name string, usages ...x509.ExtKeyUsage) certCase {
		ca := root.Authority(tlstest.Authority{Name: "Limited", Template: func(c *x509.Certificate) { c.ExtKeyUsage = usages }})
		return chain(name, ca.Issue(leaf()), root)
	}
	anchor := func(name string, usages ...x509.ExtKeyUsage) certCase {
		ca := tlstest.NewAuthority(tlstest.Authority{Name: "Limited", Template: func(c *x509.Certificate) { c.ExtKeyUsage = usages }})
		return chain(name, ca.Issue(leaf()), ca)
	}
	return []certCase{
		extended("usage: clients only", x509.ExtKeyUsageClientAuth),
		extended("usage: clients and servers", x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth),
		extended("usage: any", x509.ExtKeyUsageAny),
		extended("usage: code signing", x509.ExtKeyUsageCodeSigning),
		extended("usage: none given"),
		between("usage of the intermediate: clients only", x509.ExtKeyUsageClientAuth),
		between("usage of the intermediate: servers", x509.ExtKeyUsageServerAuth),
		between("usage of the intermediate: any", x509.ExtKeyUsageAny),
		anchor("usage of the root: clients only", x509.ExtKeyUsageClientAuth),
		usage("key usage: none given", tlstest.P256, tlstest.NoKeyUsage),
		usage("key usage: keyEncipherment only, RSA", tlstest.RSA2048, x509.KeyUsageKeyEncipherment),
		usage("key usage: keyAgreement only, ECDSA", tlstest.P256, x509.KeyUsageKeyAgreement),
		usage("key usage: keyCertSign only", tlstest.P256, x509.KeyUsageCertSign),
		usage("key usage: digitalSignature and keyEncipherment, RSA", tlstest.RSA2048, x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment),
	}
}

// unknown adds an extension that nobody knows.
func unknown(critical bool) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{
			Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: critical, Value: []byte{5, 0},
		})
	}
}

func constraintCases() []certCase {
	root := tlstest.NewCA("Root", tlstest.P256)
	below := func(name string, l tlstest.Leaf, change func(*x509.Certificate)) certCase {
		ca := root.Authority(tlstest.Authority{Name: "Constrained", Template: change})
		return chain(name, ca.Issue(l), root)
	}
	permitted := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, names }
	}
	excluded := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.PermittedDNSDomainsCritical, c.ExcludedDNSDomains = true, names }
	}
	network := func(ip net.IP) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.PermittedDNSDomainsCritical = true
			c.PermittedIPRanges = []*net.IPNet{{IP: ip, Mask: net.CIDRMask(8, 32)}}
		}
	}
	anchor := tlstest.NewAuthority(tlstest.Authority{Name: "Constrained", Template: permitted("elsewhere.test")})
	withIP := leaf()
	withIP.IPs = []net.IP{net.IPv4(10, 0, 0, 1).To4()}
	weird := tlstest.NewAuthority(tlstest.Authority{Name: "Weird", Template: unknown(true)})
	return []certCase{
		below("name constraint permits the name", leaf(), permitted("db.test")),
		below("name constraint permits the domain", leaf(), permitted("test")),
		below("name constraint permits the domain, written with a dot", leaf(), permitted(".test")),
		below("name constraint permits another domain", leaf(), permitted("elsewhere.test")),
		below("name constraint excludes the domain", leaf(), excluded("test")),
		below("name constraint excludes another domain", leaf(), excluded("elsewhere.test")),
		below("name constraint forbids one of two names", dns("db.test", "db.elsewhere.test"), permitted("test", "db.test")),
		below("name constraint permits a network that has the address", withIP, network(net.IPv4(10, 0, 0, 0).To4())),
		below("name constraint permits another network than that of the address", withIP, network(net.IPv4(11, 0, 0, 0).To4())),
		below("name constraint excludes the Common Name only", commonName("db.elsewhere.test", leaf()), excluded("elsewhere.test")),
		chain("name constraint of the root permits another domain", anchor.Issue(leaf()), anchor),
		chain("unknown critical extension", root.Issue(changed(unknown(true))), root),
		chain("unknown extension that is not critical", root.Issue(changed(unknown(false))), root),
		below("unknown critical extension of the intermediate", leaf(), unknown(true)),
		chain("unknown critical extension of the root", weird.Issue(leaf()), weird),
	}
}
