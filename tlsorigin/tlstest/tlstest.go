// Package tlstest issues throw-away certificates, good and deliberately bad, for tests and demonstrations.
//
// Everything here panics on a programming error (an unknown key type, a template that cannot be signed), like
// regexp.MustCompile: a test cannot go on without its certificates.
package tlstest

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	backdated    = time.Hour // how long before now certificates begin, so that clocks may differ
	authorityAge = 365 * 24 * time.Hour
	leafAge      = 90 * 24 * time.Hour

	// NoKeyUsage as Leaf.KeyUsage leaves the key usage extension out.
	NoKeyUsage x509.KeyUsage = -1
)

// CA is a certificate authority: a self-signed root, or an intermediate below one.
type CA struct {
	Cert *x509.Certificate

	key   crypto.Signer
	chain [][]byte // DER from this authority up to, not including, the root
}

// NewCA returns a self-signed root with the given Common Name, valid for one year.
func NewCA(name string, key KeyType) *CA {
	signer := NewKey(key)
	template := authorityTemplate(name)
	return &CA{Cert: sign(template, template, signer, signer), key: signer}
}

// Intermediate returns an authority below ca, valid for one year. What it issues carries its certificate along.
func (ca *CA) Intermediate(name string, key KeyType) *CA {
	signer := NewKey(key)
	cert := sign(authorityTemplate(name), ca.Cert, signer, ca.key)
	return &CA{Cert: cert, key: signer, chain: append([][]byte{cert.Raw}, ca.chain...)}
}

// PEM returns the certificate of ca, for use as a CA file.
func (ca *CA) PEM() []byte { return encodeCertificates(ca.Cert.Raw) }

// Pool returns a pool that holds only ca.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// Leaf describes an end-entity certificate; the zero value of a field means its default.
type Leaf struct {
	CommonName string
	DNSNames   []string
	IPs        []net.IP

	Key         KeyType            // zero: P256
	NotBefore   time.Time          // zero: an hour ago, or an hour before NotAfter if that is earlier
	NotAfter    time.Time          // zero: in 90 days
	ExtKeyUsage []x509.ExtKeyUsage // nil: server authentication; empty but not nil: no such extension
	KeyUsage    x509.KeyUsage      // zero: digitalSignature; NoKeyUsage: no such extension

	// Template, when not nil, may change anything else before the certificate is signed.
	Template func(*x509.Certificate)
}

// Issue signs a certificate for a new key.
func (ca *CA) Issue(leaf Leaf) *Pair {
	signer := NewKey(leaf.key())
	cert := sign(leaf.template(), ca.Cert, signer, ca.key)
	return &Pair{Leaf: cert, Key: signer, chain: append([][]byte{cert.Raw}, ca.chain...)}
}

// SelfSigned returns a certificate for a new key that is signed by that key itself.
func SelfSigned(leaf Leaf) *Pair {
	signer := NewKey(leaf.key())
	template := leaf.template()
	cert := sign(template, template, signer, signer)
	return &Pair{Leaf: cert, Key: signer, chain: [][]byte{cert.Raw}}
}

func (l Leaf) key() KeyType {
	if l.Key == "" {
		return P256
	}
	return l.Key
}

func (l Leaf) template() *x509.Certificate {
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: l.CommonName},
		DNSNames:     l.DNSNames,
		IPAddresses:  l.IPs,
		NotBefore:    l.NotBefore,
		NotAfter:     l.NotAfter,
		ExtKeyUsage:  l.ExtKeyUsage,
		KeyUsage:     l.KeyUsage,
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = now.Add(leafAge)
	}
	if t.NotBefore.IsZero() {
		t.NotBefore = now.Add(-backdated)
		if t.NotAfter.Before(now) {
			t.NotBefore = t.NotAfter.Add(-backdated)
		}
	}
	if t.ExtKeyUsage == nil {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	switch t.KeyUsage {
	case 0:
		t.KeyUsage = x509.KeyUsageDigitalSignature
	case NoKeyUsage:
		t.KeyUsage = 0
	}
	if l.Template != nil {
		l.Template(t)
	}
	return t
}

// Pair is a certificate, its key and the intermediates that lead to the root.
type Pair struct {
	Leaf *x509.Certificate
	Key  crypto.Signer

	chain [][]byte // DER, leaf first
}

// TLS returns p for use in a tls.Config.
func (p *Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: p.chain, PrivateKey: p.Key, Leaf: p.Leaf}
}

// CertPEM returns the leaf and the intermediates.
func (p *Pair) CertPEM() []byte { return encodeCertificates(p.chain...) }

// KeyPEM returns the key as PKCS #8.
func (p *Pair) KeyPEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	check("encode key", err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// WriteFiles writes dir/name.crt (CertPEM) and, readable by its owner alone, dir/name.key (KeyPEM).
func (p *Pair) WriteFiles(dir, name string) (certFile, keyFile string, err error) {
	certFile = filepath.Join(dir, name+".crt")
	keyFile = filepath.Join(dir, name+".key")
	if err := os.WriteFile(certFile, p.CertPEM(), 0o644); err != nil {
		return "", "", fmt.Errorf("write certificate: %w", err)
	}
	if err := os.WriteFile(keyFile, p.KeyPEM(), 0o600); err != nil {
		return "", "", fmt.Errorf("write key: %w", err)
	}
	return certFile, keyFile, nil
}

func authorityTemplate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(authorityAge),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

func sign(template, parent *x509.Certificate, subject, issuer crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, subject.Public(), issuer)
	check("sign certificate", err)
	cert, err := x509.ParseCertificate(der)
	check("parse certificate", err)
	return cert
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check("draw serial number", err)
	return n.Add(n, big.NewInt(1)) // zero is not a valid serial number
}

func encodeCertificates(ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

func check(what string, err error) {
	if err != nil {
		panic("tlstest: " + what + ": " + err.Error())
	}
}
