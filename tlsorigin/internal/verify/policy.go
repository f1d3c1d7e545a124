package verify

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	minRSABits = 2048 // Go accepts less; OpenSSL does not, at its default security level of 2

	// maxSent bounds the certificates of one peer together, in bytes. It is the default of OpenSSL, and so of
	// libpq.
	maxSent = 100 << 10
)

var (
	errNothingSent = errors.New("no certificate was sent")
	errTooLarge    = errors.New("the certificates are too large")
	errNoAuthority = errors.New("no authority is configured")
	errTooMuchWork = errors.New("verifying would take too many signature checks")
	errPolicy      = errors.New("a verified chain breaks the policy")
	errUnapproved  = errors.New("no chain has only keys that FIPS 140-3 mode accepts")
)

// Reason is one word for why a certificate is refused.
type Reason string

// The reasons.
const (
	UnknownAuthority Reason = "cert_unknown_authority"
	ChainIncomplete  Reason = "chain_incomplete" // the issuer of the leaf was not sent
	NameMismatch     Reason = "cert_name_mismatch"
	Expired          Reason = "cert_expired"
	NotYetValid      Reason = "cert_not_yet_valid"
	Revoked          Reason = "cert_revoked"
	CRLMissing       Reason = "crl_missing"
	CRLStale         Reason = "crl_stale"
	PinMismatch      Reason = "cert_pin_mismatch"
	Usage            Reason = "cert_usage"
	Invalid          Reason = "cert_invalid"
)

// Problem is one thing that is wrong with a certificate. Where a function returns a *Problem, nil means that
// all is well.
type Problem struct {
	Reason Reason
	Case   Case   // "" means that Reason says all
	Value  string // what a cure names; "" for none; safe to show
	Text   string // safe to show
}

func because(reason Reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// as adds the case of the reason.
func (p *Problem) as(which Case) *Problem {
	p.Case = which
	return p
}

// with adds what the cure names.
func (p *Problem) with(value string) *Problem {
	p.Value = value
	return p
}

// Policy is what certificates must satisfy. The zero value refuses everybody. A Policy must not be changed
// after its first use.
type Policy struct {
	IgnoreName bool   // a certificate may carry any name
	Pins       PinSet // one of them must be in the chain; nil means that none is needed
	CRLs       *CRLs  // nil means that revocation is not checked

	// System returns the roots of the system where others are configured. Nil means that it has none.
	System func() (*x509.CertPool, error)

	pool        *x509.CertPool                 // nil: nothing is trusted
	roots       []*x509.Certificate            // nil means those of the system, which cannot be listed
	systemRoots int                            // how many the system has; zero means that it does not say
	rootsByName map[string][]*x509.Certificate // by the DER of their subject
	known       atomic.Pointer[knownPeers]     // nil: none yet
}

// NewPolicy returns a Policy that trusts roots, which may be intermediates or the certificates of upstreams,
// too.
func NewPolicy(roots []*x509.Certificate) *Policy {
	p := &Policy{pool: poolOf(roots), roots: roots, rootsByName: map[string][]*x509.Certificate{}}
	for _, root := range roots {
		p.rootsByName[string(root.RawSubject)] = append(p.rootsByName[string(root.RawSubject)], root)
	}
	return p
}

// NewSystemPolicy returns a Policy that trusts pool, whose certificates cannot be listed.
func NewSystemPolicy(pool *x509.CertPool) *Policy {
	//nolint:staticcheck // for a message; where the system keeps its roots to itself, there are none
	return &Policy{pool: pool, systemRoots: len(pool.Subjects())}
}

// Pool returns the trusted certificates. It must not be changed.
func (p *Policy) Pool() *x509.CertPool { return p.pool }

// Roots returns the trusted certificates, or nil for those of the system. They must not be changed.
func (p *Policy) Roots() []*x509.Certificate { return p.roots }

// Refusal says that certificates are not accepted. Making one costs nothing; Policy.Explain explains it
// later.
type Refusal struct {
	Sent   []*x509.Certificate   // by the peer, leaf first
	Chains [][]*x509.Certificate // if only the name is wrong; nil means that the chain is refused
	err    error                 // of crypto/x509, or one of this package
}

// Error says nothing about the certificates: the text of the cause can be long and holds what the peer wrote.
func (r *Refusal) Error() string { return "the peer's certificate is refused" }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.err }

// Verify returns the chains for which the certificates sent are accepted under name, or a *Refusal.
func (p *Policy) Verify(sent []*x509.Certificate, name string, now time.Time) ([][]*x509.Certificate, error) {
	switch {
	case len(sent) == 0:
		return nil, &Refusal{err: errNothingSent}
	case p.pool == nil: // crypto/x509 would take the system's
		return nil, &Refusal{Sent: sent, err: errNoAuthority}
	case sizeOf(sent) > maxSent:
		return nil, &Refusal{Sent: sent, err: errTooLarge}
	}
	chains, err := p.acceptedChains(sent, now)
	if err != nil {
		return nil, &Refusal{Sent: sent, err: err}
	}
	if !p.IgnoreName {
		if err := sent[0].VerifyHostname(name); err != nil {
			return nil, &Refusal{Sent: sent, Chains: chains, err: err}
		}
	}
	p.remember(sent, chains)
	return chains, nil
}

// acceptedChains returns verified chains from sent to the roots, of which at least one satisfies the policy.
// It does not look at the name.
func (p *Policy) acceptedChains(sent []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	if keyUsageProblem(sent[0]) != nil {
		if _, err := p.verifiedChains(sent, now); err != nil {
			return nil, err // an unknown authority weighs more
		}
		return nil, errPolicy
	}
	if known := p.KnownChains(sent, now); p.Accepted(known, now) != nil {
		return known, nil
	}
	chains, err := p.verifiedChains(sent, now)
	switch {
	case err != nil:
		return nil, err
	case p.Accepted(chains, now) == nil:
		return nil, errPolicy
	}
	return chains, nil
}

// Accepted returns the first of chains, which are verified, that satisfies the policy. Nil means that none
// does.
func (p *Policy) Accepted(chains [][]*x509.Certificate, now time.Time) []*x509.Certificate {
	for _, chain := range chains {
		if len(p.chainProblems(chain, now)) == 0 {
			return chain
		}
	}
	return nil
}

// chainProblems returns what pgorigin does not accept about a chain although crypto/x509 does: short keys,
// revoked certificates, and no pinned key.
func (p *Policy) chainProblems(chain []*x509.Certificate, now time.Time) []Problem {
	var problems []Problem
	for _, cert := range chain {
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < minRSABits {
			problems = append(problems, *because(Invalid,
				"certificate %s has an RSA key of only %d bits, at least %d are needed",
				CertificateName(cert), key.N.BitLen(), minRSABits).as(CaseShortKey))
		}
	}
	if p.CRLs != nil {
		problems = append(problems, p.CRLs.problems(chain, now)...)
	}
	if p.Pins != nil && !p.Pins.allow(chain) {
		problems = append(problems, *p.Pins.problem(chain))
	}
	return problems
}

// keyUsageProblem reports a key usage extension that lacks digitalSignature, which every key exchange that is
// offered needs. A certificate without the extension is fine.
func keyUsageProblem(leaf *x509.Certificate) *Problem {
	keyUsage := asn1.ObjectIdentifier{2, 5, 29, 15}
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(keyUsage) && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			return because(Usage,
				"certificate %s may not be used for TLS: its key usage lacks digitalSignature",
				CertificateName(leaf)).as(CaseKeyUsage)
		}
	}
	return nil
}

func sizeOf(certs []*x509.Certificate) (size int) {
	for _, cert := range certs {
		size += len(cert.Raw)
	}
	return size
}
