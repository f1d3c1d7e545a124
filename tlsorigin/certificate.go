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
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// The cases of the upstream's certificates and of revocation lists; see package verify.
const (
	CaseOtherCA         = Case(verify.CaseOtherCA)
	CaseSelfSigned      = Case(verify.CaseSelfSigned)
	CaseOtherKey        = Case(verify.CaseOtherKey)
	CaseTooMany         = Case(verify.CaseTooMany)
	CaseKeyKind         = Case(verify.CaseKeyKind)
	CaseHostFits   Case = "host_fits" // of ReasonCertNameMismatch: without Config.ServerName, it would fit

	CaseOtherName   = Case(verify.CaseOtherName)
	CaseWildcard    = Case(verify.CaseWildcard)
	CaseNoName      = Case(verify.CaseNoName)
	CaseNoNameOwnCA = Case(verify.CaseNoNameOwnCA)
	CaseClock       = Case(verify.CaseClock)
	CaseMiddle      = Case(verify.CaseMiddle)
	CaseTrusted     = Case(verify.CaseTrusted)
	CaseTrustedLeaf = Case(verify.CaseTrustedLeaf)
	CaseFingerprint = Case(verify.CaseFingerprint)
	CaseKeyUsage    = Case(verify.CaseKeyUsage)
	CaseListBegins  = Case(verify.CaseListBegins)
	CaseListSigner  = Case(verify.CaseListSigner)
	CaseShortKey    = Case(verify.CaseShortKey)
	CaseForgeable   = Case(verify.CaseForgeable)
	CaseNoAuthority = Case(verify.CaseNoAuthority)
	CasePathLength  = Case(verify.CasePathLength)
	CaseConstraint  = Case(verify.CaseConstraint)
	CaseExtension   = Case(verify.CaseExtension)
	CaseListUsage   = Case(verify.CaseListUsage)
)

// PeerCertificate describes one certificate.
type PeerCertificate struct {
	Subject            string    `json:"subject"` // quoted
	Issuer             string    `json:"issuer"`  // quoted
	Key                string    `json:"key"`     // "ECDSA P-256", "RSA 2048"
	SignatureAlgorithm string    `json:"signature_algorithm"`
	SHA256             string    `json:"sha256"`          // hex
	Serial             string    `json:"serial"`          // hex with colons
	Names              []string  `json:"names,omitempty"` // quoted, the first few of many
	NotBefore          time.Time `json:"not_before"`
	NotAfter           time.Time `json:"not_after"`
	DaysLeft           int       `json:"days_left"` // whole days; negative after NotAfter
	Sent               bool      `json:"sent"`
	SelfIssued         bool      `json:"self_issued"`
}

// Describe describes a chain that begins with the peer's own certificate, as tls.ConnectionState has verified
// ones. The result begins with the authority.
func Describe(chain []*x509.Certificate, now time.Time) []PeerCertificate {
	var described []PeerCertificate
	for _, cert := range slices.Backward(chain) {
		described = append(described, DescribeCertificate(cert, now))
	}
	return described
}

// DescribeCertificate describes one certificate that the peer sent.
func DescribeCertificate(cert *x509.Certificate, now time.Time) PeerCertificate {
	return PeerCertificate{
		Subject: verify.CertificateName(cert), Issuer: verify.NameOf(cert.Issuer),
		Key: keyText(cert), SignatureAlgorithm: signatureText(cert), SHA256: Fingerprint(cert),
		Serial: verify.SerialText(cert), Names: verify.NamesOf(cert),
		NotBefore: cert.NotBefore.UTC(), NotAfter: cert.NotAfter.UTC(),
		DaysLeft: DaysLeft(cert.NotAfter, now),
		Sent:     true, SelfIssued: bytes.Equal(cert.RawSubject, cert.RawIssuer),
	}
}

// DaysLeft returns how many whole days it is from now to end, and after the end, how many it was ago as a
// negative number. The first day after the end is -1, so that it is not taken for the last one before.
func DaysLeft(end, now time.Time) int {
	const day = 24 * time.Hour
	left := end.Sub(now)
	if left < 0 {
		return min(int(left/day), -1)
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
	return unknownKey(cert)
}

// Fingerprint returns the SHA-256 of the whole certificate in hexadecimal digits.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// Pin returns the pin of the key of cert, as Config.Pins takes it.
func Pin(cert *x509.Certificate) string { return verify.PinOf(cert).String() }
