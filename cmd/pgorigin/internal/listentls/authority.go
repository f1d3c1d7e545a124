package listentls

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// authorityName marks a certificate, and so a file, as ours.
	authorityName = "pgorigin listener CA"
	// slack is how far the clocks of client and server may be apart.
	slack = 24 * time.Hour
	// authorityLife is longer than any process runs.
	authorityLife = 20 * 365 * 24 * time.Hour
	// leafLife is less than the 398 days that some verifiers allow at most. A leaf of half that age is replaced.
	leafLife = 360 * 24 * time.Hour
	// maxAsked bounds the names that clients add to a certificate. Making one costs about as much as a handshake.
	maxAsked = 8
)

// hostName is what a client may ask for.
var hostName = regexp.MustCompile(`^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,15}$`)

// Authority is a CA whose key never leaves this process.
type Authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// NewAuthority makes a CA. Its key is of P-256, which every TLS library of the last ten years knows.
func NewAuthority(now time.Time) (*Authority, error) {
	a := new(Authority)
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: authorityName},
		NotBefore: now.Add(-slack), NotAfter: now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, key, err := a.issue(template)
	if err != nil {
		return nil, err
	}
	a.key = key
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	return a, nil
}

// PEM returns the certificate of the CA.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: a.certificate.Raw})
}

// issue signs template for a new key. Without a certificate of its own, the CA signs with that key.
func (a *Authority) issue(template *x509.Certificate) (der []byte, key *ecdsa.PrivateKey, err error) {
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // never fails
	serial[0] &= 0x7f
	template.SerialNumber = new(big.Int).SetBytes(serial)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer); err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	return der, key, nil
}

// Leaf is a certificate of an Authority for some names. It is made anew long before it expires, and for a client
// that asks for another name (SNI): only the client knows by which name it was led here.
type Leaf struct {
	authority *Authority
	names     []string

	mu      sync.Mutex
	asked   []string // by clients, the latest maxAsked of them
	current *tls.Certificate
}

// NewLeaf makes a certificate for names, which may be IP addresses.
func (a *Authority) NewLeaf(names []string, now time.Time) (*Leaf, error) {
	l := &Leaf{authority: a, names: names}
	_, err := l.at(now, "")
	return l, err
}

// Certificate is for NewServer.
func (l *Leaf) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return l.at(time.Now(), hello.ServerName)
}

// at returns the certificate for a client that asks for name; "" is for one that does not say. It makes a new one
// if that lacks the name, in the second half of its life, and if the clock was put back.
func (l *Leaf) at(now time.Time, name string) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !hostName.MatchString(name) {
		name = ""
	}
	has := name == "" || slices.Contains(l.names, name) || slices.Contains(l.asked, name)
	if l.current != nil && has {
		leaf := l.current.Leaf
		if !now.Before(leaf.NotBefore) && now.Before(leaf.NotAfter.Add(-leafLife/2)) {
			return l.current, nil
		}
	}
	if !has {
		l.asked = append(l.asked, name)
		l.asked = l.asked[max(len(l.asked)-maxAsked, 0):]
	}
	made, err := l.make(now)
	if err != nil {
		return nil, err
	}
	l.current = made
	return made, nil
}

func (l *Leaf) make(now time.Time) (*tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "pgorigin listener"},
		NotBefore: now.Add(-slack), NotAfter: now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range slices.Concat(l.names, l.asked) {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, key, err := l.authority.issue(template)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &tls.Certificate{
		Certificate: [][]byte{der, l.authority.certificate.Raw}, PrivateKey: key, Leaf: leaf,
	}, nil
}
