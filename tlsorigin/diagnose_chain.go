package tlsorigin

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// maxPresented bounds how many certificates of a peer are described.
const maxPresented = 10

// PeerChain is what an upstream presented. Texts from certificates are quoted, stripped and bounded.
type PeerChain struct {
	Verified bool // Path is the chain that was verified, the name apart, up to the trust anchor
	// Path leads from the authority to the server's own certificate. If nothing was verified, it is what was sent, as far
	// as issuers and subjects link it.
	Path []PeerCertificate
	// Unused were sent, too.
	Unused []PeerCertificate
	// Names are what the server's certificate is valid for, quoted, the first few of many.
	Names string
}

// PeerCertificate describes one certificate.
type PeerCertificate struct {
	Subject, Issuer    string // quoted
	Key                string // "ECDSA P-256", "RSA 2048"
	SignatureAlgorithm string
	SHA256             string   // hex
	Serial             string   // hex with colons
	Names              []string // subject alternative names, quoted, the first few of many
	NotBefore          time.Time
	NotAfter           time.Time
	DaysLeft           int // whole days; negative after NotAfter
	Sent               bool
	SelfIssued         bool
}

// describeChain describes the certificates that were sent, leaf first, and the chain that was verified, if any.
func describeChain(sent, verified []*x509.Certificate, now time.Time) PeerChain {
	if len(sent) == 0 {
		return PeerChain{}
	}
	chain := PeerChain{Verified: verified != nil, Names: presentedNames(sent[0])}
	path := verified
	if path == nil {
		path = linked(sent)
	}
	for i := len(path) - 1; i >= 0; i-- {
		chain.Path = append(chain.Path, describe(path[i], contains(sent, path[i]), now))
	}
	for _, cert := range sent {
		if !contains(path, cert) && len(chain.Unused) < maxPresented {
			chain.Unused = append(chain.Unused, describe(cert, true, now))
		}
	}
	return chain
}

// Describe describes a chain that begins with the peer's own certificate, as tls.ConnectionState has verified ones: from the
// authority to the peer's own.
func Describe(chain []*x509.Certificate, now time.Time) []PeerCertificate {
	return describeChain(chain, chain, now).Path
}

// linked orders what was sent by issuer and subject, from the leaf on. It proves nothing; it is for people to read.
func linked(sent []*x509.Certificate) []*x509.Certificate {
	path := []*x509.Certificate{sent[0]}
	for len(path) < maxPresented {
		top := path[len(path)-1]
		i := -1
		for j, cert := range sent {
			if bytes.Equal(cert.RawSubject, top.RawIssuer) && !contains(path, cert) {
				i = j
				break
			}
		}
		if i < 0 {
			break
		}
		path = append(path, sent[i])
	}
	return path
}

func contains(certs []*x509.Certificate, cert *x509.Certificate) bool {
	for _, c := range certs {
		if c.Equal(cert) {
			return true
		}
	}
	return false
}

func describe(cert *x509.Certificate, sent bool, now time.Time) PeerCertificate {
	sum := sha256.Sum256(cert.Raw)
	return PeerCertificate{
		Subject: certificateName(cert), Issuer: nameOf(cert.Issuer),
		Key: keyText(cert), SignatureAlgorithm: cert.SignatureAlgorithm.String(), SHA256: hex.EncodeToString(sum[:]),
		Serial: serialText(cert), Names: namesOf(cert),
		NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(), DaysLeft: DaysLeft(cert.NotAfter, now),
		Sent: sent, SelfIssued: bytes.Equal(cert.RawSubject, cert.RawIssuer),
	}
}

// DaysLeft returns how many whole days it is from now to end. The first day after the end is -1.
func DaysLeft(end, now time.Time) int {
	const day = 24 * time.Hour
	left := end.Sub(now)
	if left < 0 {
		return int(left/day) - 1
	}
	return int(left / day)
}

// keyText names the algorithm and the size of a certificate's key.
func keyText(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unknown"
}

// presentedNames lists what a certificate is valid for.
func presentedNames(cert *x509.Certificate) string { return strings.Join(namesOf(cert), ", ") }
