package corpus

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"slices"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// issued returns a case of a certificate below a root of its own.
func issued(name, host string, leaf tlstest.Leaf) certCase {
	root := tlstest.NewCA("Root", tlstest.P256)
	return certCase{name: name, host: host, pair: root.Issue(leaf), roots: certs(root)}
}

// inBothModes asks for verify-ca, too, which must not mind the name.
func inBothModes(c certCase) certCase {
	c.both = true
	return c
}

// certs returns the certificates of authorities.
func certs(authorities ...*tlstest.CA) []*x509.Certificate {
	var list []*x509.Certificate
	for _, ca := range authorities {
		list = append(list, ca.Cert)
	}
	return list
}

func dns(names ...string) tlstest.Leaf { return tlstest.Leaf{DNSNames: names} }

func ips(texts ...string) tlstest.Leaf {
	var leaf tlstest.Leaf
	for _, text := range texts {
		leaf.IPs = append(leaf.IPs, net.ParseIP(text))
	}
	return leaf
}

func commonName(cn string, leaf tlstest.Leaf) tlstest.Leaf {
	leaf.CommonName = cn
	return leaf
}

// Tags of GeneralName, RFC 5280.
const (
	tagDNS = 2
	tagIP  = 7
)

type generalName struct {
	tag   int
	value string
}

// rawNames makes a certificate with subject alternative names that crypto/x509 would not write.
func rawNames(names ...generalName) tlstest.Leaf {
	var values []asn1.RawValue
	for _, name := range names {
		values = append(values, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: name.tag, Bytes: []byte(name.value)})
	}
	der, err := asn1.Marshal(values)
	if err != nil {
		panic(err)
	}
	return tlstest.Leaf{Form: tlstest.Form{Malformed: true}, Template: func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: der})
	}}
}

func nameCases() []certCase {
	return slices.Concat(dnsCases(), commonNameCases())
}

func dnsCases() []certCase {
	return []certCase{
		issued("DNS name", "db.test", dns("db.test")),
		inBothModes(issued("DNS name of another server", "db.test", dns("other.test"))),
		issued("second of several DNS names", "db.test", dns("other.test", "db.test", "third.test")),
		issued("DNS name that begins with the one asked for", "db.test", dns("db.test.evil.example")),
		issued("DNS name in upper case", "db.test", dns("DB.TEST")),
		issued("asked for in upper case", "DB.TEST", dns("db.test")),
		issued("asked for with a final dot", "db.test.", dns("db.test")),
		issued("final dot in the certificate", "db.test", dns("db.test.")),
		issued("final dot in both", "db.test.", dns("db.test.")),
		issued("wildcard for one label", "pg.db.test", dns("*.db.test")),
		issued("wildcard for two labels", "a.pg.db.test", dns("*.db.test")),
		issued("wildcard for no label", "db.test", dns("*.db.test")),
		issued("wildcard below a top-level domain", "db.test", dns("*.test")),
		issued("wildcard alone", "db", dns("*")),
		issued("wildcard alone for two labels", "db.test", dns("*")),
		issued("partial wildcard, beginning given", "pg1.db.test", dns("pg*.db.test")),
		issued("partial wildcard, end given", "my-pg.db.test", dns("*pg.db.test")),
		issued("wildcard in the middle", "pg.eu.db.test", dns("pg.*.db.test")),
		issued("underscore", "pg_main.db.test", dns("pg_main.db.test")),
		issued("underscore below a wildcard", "pg_main.db.test", dns("*.db.test")),
		issued("underscore asked for, hyphen in the certificate", "pg_main.db.test", dns("pg-main.db.test")),
		issued("IDN as xn--", "xn--bcher-kva.test", dns("xn--bcher-kva.test")),
		issued("IDN below a wildcard", "xn--bcher-kva.db.test", dns("*.db.test")),
		issued("IDN asked for in Unicode", "bücher.test", dns("xn--bcher-kva.test")),
		issued("IDN as partial wildcard", "xn--bcher-kva.test", dns("xn--*.test")),
		issued("single label", "db", dns("db")),
		issued("single label asked for, full name in the certificate", "db", dns("db.test")),
		issued("NUL in a DNS name", "db.test", rawNames(generalName{tagDNS, "db.test\x00.evil.example"})),
		issued("DNS name in raw UTF-8 beside the right one", "db.test", rawNames(generalName{tagDNS, "db.test"}, generalName{tagDNS, "b\xc3\xbccher.test"})),
		issued("space in the DNS name", "db.test", rawNames(generalName{tagDNS, "db.test "})),
		issued("empty DNS name beside the right one", "db.test", rawNames(generalName{tagDNS, ""}, generalName{tagDNS, "db.test"})),
	}
}

func commonNameCases() []certCase {
	mail := tlstest.Leaf{Template: func(c *x509.Certificate) { c.EmailAddresses = []string{"dba@db.test"} }}
	return []certCase{
		inBothModes(issued("name only in the Common Name", "db.test", commonName("db.test", dns()))),
		issued("other name only in the Common Name", "db.test", commonName("other.test", dns())),
		issued("Common Name beside an unrelated DNS name", "db.test", commonName("db.test", dns("other.test"))),
		issued("Common Name beside an IP address", "db.test", commonName("db.test", ips("10.0.0.1"))),
		issued("Common Name beside a mail address", "db.test", commonName("db.test", mail)),
		issued("wildcard in the Common Name", "pg.db.test", commonName("*.db.test", dns())),
		issued("IP address only in the Common Name", "10.0.0.1", commonName("10.0.0.1", dns())),
		issued("other Common Name beside the DNS name", "db.test", commonName("other.test", dns("db.test"))),
		inBothModes(issued("no name at all", "db.test", dns())),
	}
}

func addressCases() []certCase {
	mapped := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01"
	return []certCase{
		issued("IPv4 address", "10.0.0.1", ips("10.0.0.1")),
		inBothModes(issued("other IPv4 address", "10.0.0.1", ips("10.0.0.2"))),
		issued("IPv6 address", "2001:db8::1", ips("2001:db8::1")),
		issued("IPv6 address in another spelling", "2001:0db8:0:0::0001", ips("2001:db8::1")),
		issued("other IPv6 address", "2001:db8::1", ips("2001:db8::2")),
		issued("IPv4 address as a DNS name", "10.0.0.1", dns("10.0.0.1")),
		issued("IPv6 address as a DNS name", "2001:db8::1", rawNames(generalName{tagDNS, "2001:db8::1"})),
		issued("IPv4 address below a wildcard", "10.0.0.1", dns("*.0.0.1")),
		issued("IPv4-mapped address asked for", "::ffff:10.0.0.1", ips("10.0.0.1")),
		issued("IPv4-mapped address in the certificate", "10.0.0.1", rawNames(generalName{tagIP, mapped})),
		issued("IPv4 address with leading zeros", "010.0.0.1", ips("8.0.0.1", "10.0.0.1")),
		issued("IPv4 address in two numbers", "127.1", ips("127.0.0.1")),
		issued("IPv4 address in one number", "2130706433", ips("127.0.0.1")),
		issued("DNS name asked for, only an IP address in the certificate", "db.test", ips("127.0.0.1")),
		issued("IP address of five bytes beside the right name", "db.test", rawNames(generalName{tagDNS, "db.test"}, generalName{tagIP, "\x0a\x00\x00\x01\x02"})),
	}
}
