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
	form  Form
	chain [][]byte // DER from this authority up to, not including, the root
}

// Authority describes a certificate authority that is not the usual one; the zero value of a field means its
// default.
type Authority struct {
	Name string  // Common Name
	Key  KeyType // zero: P256
	Form Form

	Signer crypto.Signer // nil: a new key of type Key

	// Template, when not nil, may change anything else before the certificate is signed.
	Template func(*x509.Certificate)
}

// NewCA returns a self-signed root with the given Common Name, valid for one year.
func NewCA(name string, key KeyType) *CA { return NewAuthority(Authority{Name: name, Key: key}) }

// NewAuthority returns a self-signed root.
func NewAuthority(a Authority) *CA {
	ca := &CA{key: a.signer(), form: a.Form}
	ca.Cert = ca.sign(a.template(), nil, ca.key.Public(), a.Form)
	return ca
}

// Intermediate returns an authority below ca, valid for one year. What it issues carries its certificate
// along.
func (ca *CA) Intermediate(name string, key KeyType) *CA {
	return ca.Authority(Authority{Name: name, Key: key})
}

// Authority returns an authority below ca. What it issues carries its certificate along.
func (ca *CA) Authority(a Authority) *CA {
	return ca.certify(a.template(), &CA{key: a.signer(), form: a.Form})
}

// CrossSign returns other with another certificate, of the same name and key but issued by ca. What the
// result issues carries that along. Change, when not nil, may change it before it is signed.
func (ca *CA) CrossSign(other *CA, change func(*x509.Certificate)) *CA {
	template := Authority{Name: other.Cert.Subject.CommonName, Template: change}.template()
	template.SubjectKeyId = other.Cert.SubjectKeyId
	return ca.certify(template, other)
}

func (ca *CA) certify(template *x509.Certificate, other *CA) *CA {
	cert := ca.sign(template, ca.Cert, other.key.Public(), other.form)
	return &CA{Cert: cert, key: other.key, form: other.form, chain: append([][]byte{cert.Raw}, ca.chain...)}
}

func (a Authority) signer() crypto.Signer {
	switch {
	case a.Signer != nil:
		return a.Signer
	case a.Key == "":
		return NewKey(P256)
	}
	return NewKey(a.Key)
}

func (a Authority) template() *x509.Certificate {
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: a.Name},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(authorityAge),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if a.Template != nil {
		a.Template(t)
	}
	return t
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

	Signer crypto.Signer // nil: a new key of type Key
	Form   Form

	// Template, when not nil, may change anything else before the certificate is signed.
	Template func(*x509.Certificate)
}

// Issue signs a certificate for a new key.
func (ca *CA) Issue(leaf Leaf) *Pair {
	signer := leaf.signer()
	cert := ca.sign(leaf.template(), ca.Cert, signer.Public(), leaf.Form)
	return &Pair{Leaf: cert, Key: signer, form: leaf.Form, chain: append([][]byte{cert.Raw}, ca.chain...)}
}

// SelfSigned returns a certificate for a new key that is signed by that key itself.
func SelfSigned(leaf Leaf) *Pair {
	signer := leaf.signer()
	cert := (&CA{key: signer, form: leaf.Form}).sign(leaf.template(), nil, signer.Public(), leaf.Form)
	return &Pair{Leaf: cert, Key: signer, form: leaf.Form, chain: [][]byte{cert.Raw}}
}

func (l Leaf) signer() crypto.Signer {
	switch {
	case l.Signer != nil:
		return l.Signer
	case l.Key == "":
		return NewKey(P256)
	}
	return NewKey(l.Key)
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

	form  Form
	chain [][]byte // DER, leaf first
}

// WithChain returns p that sends others, in this order, behind its leaf.
func (p *Pair) WithChain(others ...*x509.Certificate) *Pair {
	changed := *p
	changed.chain = [][]byte{p.Leaf.Raw}
	for _, cert := range others {
		changed.chain = append(changed.chain, cert.Raw)
	}
	return &changed
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
	if p.form.PSSKey {
		der = withPSSKey(der)
	}
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

// sign issues template for a public key; a nil parent means the template itself. Form is that of the new
// certificate, the form of ca decides on the signature.
func (ca *CA) sign(template, parent *x509.Certificate, public crypto.PublicKey, form Form) *x509.Certificate {
	if parent == nil {
		parent = template
	}
	if ca.form.PSSKey {
		template.SignatureAlgorithm = x509.SHA256WithRSAPSS
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, ca.key)
	check("sign certificate", err)
	if form.Malformed {
		return &x509.Certificate{Raw: der}
	}
	cert, err := x509.ParseCertificate(form.apply(der, ca.key))
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
