package tlsorigin

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"time"
)

const minRSABits = 2048 // what OpenSSL refuses at its default security level 2, and Go accepts

// policyError is what checkPolicy returns.
type policyError struct {
	finding
	sent []*x509.Certificate
}

func (e *policyError) Error() string { return e.text }

// checkVerified is a tls.Config.VerifyConnection: it adds what crypto/tls does not demand. A chain that crypto/tls has only
// verified as far as a leaf among handshakeRoots goes on to the configured roots: by what is remembered of exactly these
// certificates, else by verifying all of it.
func (t *trust) checkVerified(cs tls.ConnectionState) error { return t.checkVerifiedAt(cs, time.Now()) }

func (t *trust) checkVerifiedAt(cs tls.ConnectionState, now time.Time) error {
	sent := cs.PeerCertificates
	chains, err := t.chainsToRoots(&cs, now)
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: sent, Err: err}
	}
	if err := t.checkPolicy(sent, chains, now); err != nil {
		return err
	}
	t.remember(sent, chains)
	return nil
}

// checkPolicy judges chains that crypto/x509 has verified: the first certificate by itself, then each chain, of which one
// that nothing is wrong with is enough. No chain is no good chain.
func (t *trust) checkPolicy(sent []*x509.Certificate, chains [][]*x509.Certificate, now time.Time) error {
	if len(sent) == 0 || len(chains) == 0 {
		return &policyError{finding{ReasonCertInvalid, "its certificate was not verified"}, sent}
	}
	if found, ok := keyUsageProblem(sent[0]); ok {
		return &policyError{found, sent}
	}
	var first []finding
	for _, chain := range chains {
		found := t.chainProblems(chain, now)
		if len(found) == 0 {
			return nil
		}
		if first == nil {
			first = found
		}
	}
	return &policyError{first[0], sent}
}

// chainProblems returns what pgorigin, beyond crypto/x509, does not accept about a chain: short keys, revocation, and
// that no pinned key is in it.
func (t *trust) chainProblems(chain []*x509.Certificate, now time.Time) []finding {
	var problems []finding
	for _, cert := range chain {
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSABits {
			problems = append(problems, finding{ReasonCertInvalid, fmt.Sprintf("certificate %s has an RSA key of only %d bits, at least %d are needed",
				certificateName(cert), key.N.BitLen(), minRSABits)})
		}
	}
	if t.crls != nil {
		problems = append(problems, t.crls.problems(chain, now)...)
	}
	if t.pins != nil && !t.pins.allow(chain) {
		problems = append(problems, finding{ReasonCertPinMismatch, "none of the pinned keys is in its chain, which has " + presentedPins(chain)})
	}
	return problems
}

// keyUsageProblem reports a key usage extension that is present and lacks digitalSignature, which every key exchange
// that is offered needs.
func keyUsageProblem(leaf *x509.Certificate) (finding, bool) {
	keyUsage := asn1.ObjectIdentifier{2, 5, 29, 15}
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(keyUsage) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			return finding{ReasonCertUsage, fmt.Sprintf("certificate %s may not be used for TLS: its key usage lacks digitalSignature", certificateName(leaf))}, true
		}
	}
	return finding{}, false
}
