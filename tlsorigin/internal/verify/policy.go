package tlsorigin

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

const (
	minRSABits = 2048 // what OpenSSL refuses at its default security level 2, and Go accepts

	// maxSent bounds the certificates of one peer together, in bytes. It is OpenSSL's default, so libpq has
	// the same.
	maxSent = 100 << 10
)

var (
	errNothingSent  = errors.New("no certificate was sent")
	errTooLarge     = errors.New("the certificates are too large")
	errNoAuthority  = errors.New("no authority is configured")
	errTooMuchWork  = errors.New("verifying would take too many signature checks")
	errPolicy       = errors.New("a verified chain breaks the policy")
	errUnapproved   = errors.New("no chain has only keys that FIPS 140-3 mode accepts")
	errNoConnection = errors.New("this TLS configuration belongs to no connection")
)

// verification verifies the peer of one connection. crypto/tls runs verify in each handshake, resumed ones
// included, before it sends the client certificate and before any data can pass.
type verification struct {
	trust  *trust
	name   string                // what the certificate must carry, unless trust.verifyCA
	chains [][]*x509.Certificate // leaf first; nil: nothing was verified, and the connection must not be used
}

// verify is a tls.Config.VerifyConnection.
func (v *verification) verify(cs tls.ConnectionState) error {
	chains, err := v.trust.verify(cs.PeerCertificates, v.name, time.Now())
	v.chains = chains
	return err
}

// replaceVerification makes config verify by this package alone, here and nowhere else. crypto/tls verifies
// all or nothing, with up to 100 signature checks: a peer without any proof could burn a third of a second
// per connection. A configuration without a verification of its own accepts nobody.
func replaceVerification(config *tls.Config) {
	config.InsecureSkipVerify = true //nolint:forbidigo // verification.verify verifies in its place, with a budget
	config.VerifyConnection = func(tls.ConnectionState) error { return errNoConnection }
}

// refusal says that certificates are not accepted. Making one costs nothing; trust.reasons explains it later.
type refusal struct {
	sent   []*x509.Certificate
	chains [][]*x509.Certificate // accepted, the name apart; nil: the chain itself is refused
	err    error                 // of crypto/x509, or one of this package
}

// Error says nothing about the certificates: the text of err can be long and holds what the peer wrote.
func (r *refusal) Error() string { return "the peer's certificate is refused" }

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.err }

// verify returns the chains for which the certificates sent are accepted under name, or a *refusal.
func (t *trust) verify(sent []*x509.Certificate, name string, now time.Time) ([][]*x509.Certificate, error) {
	switch {
	case len(sent) == 0:
		return nil, &refusal{err: errNothingSent}
	case t.template.RootCAs == nil: // crypto/x509 would take the system's
		return nil, &refusal{sent: sent, err: errNoAuthority}
	case sizeOf(sent) > maxSent:
		return nil, &refusal{sent: sent, err: errTooLarge}
	}
	chains, err := t.acceptedChains(sent, now)
	if err != nil {
		return nil, &refusal{sent: sent, err: err}
	}
	if !t.verifyCA {
		if err := sent[0].VerifyHostname(name); err != nil {
			return nil, &refusal{sent: sent, chains: chains, err: err}
		}
	}
	t.remember(sent, chains)
	return chains, nil
}

// acceptedChains returns verified chains from sent to the roots, of which at least one keeps the policy. The
// name is not its concern.
func (t *trust) acceptedChains(sent []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	if _, found := keyUsageProblem(sent[0]); found {
		return nil, t.noChain(sent, now)
	}
	if known := t.knownChains(sent, now); t.anyAccepted(known, now) {
		return known, nil
	}
	chains, err := t.verifiedChains(sent, now)
	switch {
	case err != nil:
		return nil, err
	case !t.anyAccepted(chains, now):
		return nil, errPolicy
	}
	return chains, nil
}

// noChain is why a leaf that breaks the policy is refused: an unknown authority weighs more.
func (t *trust) noChain(sent []*x509.Certificate, now time.Time) error {
	if _, err := t.verifiedChains(sent, now); err != nil {
		return err
	}
	return errPolicy
}

// anyAccepted reports whether nothing is wrong with one of chains, which are verified.
func (t *trust) anyAccepted(chains [][]*x509.Certificate, now time.Time) bool {
	for _, chain := range chains {
		if len(t.chainProblems(chain, now)) == 0 {
			return true
		}
	}
	return false
}

// chainProblems returns what pgorigin, beyond crypto/x509, does not accept about a chain: short keys,
// revocation, and that no pinned key is in it.
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

// keyUsageProblem reports a key usage extension that is present and lacks digitalSignature, which every key
// exchange that is offered needs.
func keyUsageProblem(leaf *x509.Certificate) (finding, bool) {
	keyUsage := asn1.ObjectIdentifier{2, 5, 29, 15}
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(keyUsage) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			return finding{ReasonCertUsage, fmt.Sprintf("certificate %s may not be used for TLS: its key usage lacks digitalSignature", certificateName(leaf))}, true
		}
	}
	return finding{}, false
}

func sizeOf(certs []*x509.Certificate) (size int) {
	for _, cert := range certs {
		size += len(cert.Raw)
	}
	return size
}
