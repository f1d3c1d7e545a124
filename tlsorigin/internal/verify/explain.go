package verify

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

const (
	maxProblems  = 8 // in one sentence
	maxExplained = 4 // chains; the one with the fewest problems is explained
)

// MaxLinked bounds how many certificates Linked returns.
const MaxLinked = 10

// Explanation says why certificates were refused.
type Explanation struct {
	Reason   Reason
	Case     Case     // of Reason
	Value    string   // what a cure names; "" for none, and if not Anchored
	Also     []Reason // further reasons, each once
	Text     string   // safe to show, at most safetext.MaxLength
	Anchored bool     // a trusted authority vouches for the peer's certificate
}

// Explain explains a Refusal of this Policy for name. It decides nothing.
//
// The first reason weighs the most. If no authority vouches for the certificate, the explanation says nothing
// else: the peer could have written the rest as it liked. Then come a chain that proves nothing, dates,
// usage, revocation and pins. The name comes last: only a certificate that an authority vouches for may
// suggest another name.
func (p *Policy) Explain(r *Refusal, name string, now time.Time) Explanation {
	found, anchored := p.problems(r, name, now)
	first := found[0]
	e := Explanation{Reason: first.Reason, Case: first.Case, Text: sentence(found), Anchored: anchored}
	if anchored {
		e.Value = first.Value
	}
	for _, f := range found[1:] {
		if f.Reason != e.Reason && !slices.Contains(e.Also, f.Reason) {
			e.Also = append(e.Also, f.Reason)
		}
	}
	return e
}

// problems returns what is wrong with what a peer sent, at least one problem, in the order of Explain.
func (p *Policy) problems(r *Refusal, name string, now time.Time) (found []Problem, anchored bool) {
	switch {
	case errors.Is(r.err, errNothingSent):
		return []Problem{*because(Invalid, "sent no certificate")}, false
	case errors.Is(r.err, errTooLarge):
		return []Problem{*because(Invalid, "sent %d bytes of certificates, at most %d are accepted",
			sizeOf(r.Sent), maxSent).as(CaseTooMany)}, false
	}
	chains := r.Chains
	if chains == nil {
		chains = p.signedChains(r.Sent)
	}
	if len(chains) == 0 {
		return []Problem{*p.unknownAuthority(r)}, false
	}
	found = p.fewestProblems(chains, now)
	var invalid x509.CertificateInvalidError
	if errors.As(r.err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		found = append(found, explain(r.err, r.Sent))
	}
	if !p.IgnoreName && r.Sent[0].VerifyHostname(name) != nil {
		found = append(found, *p.nameProblem(chains, name))
	}
	if len(found) == 0 {
		found = []Problem{explain(r.err, r.Sent)}
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return rank(a.Reason) - rank(b.Reason) })
	return slices.Compact(found), true
}

// rank orders reasons: each means something only if none before it applies.
func rank(reason Reason) int {
	return slices.Index([]Reason{
		UnknownAuthority, ChainIncomplete, Invalid, Expired, NotYetValid, Usage, Revoked, CRLMissing, CRLStale,
		PinMismatch, NameMismatch,
	}, reason)
}

// fewestProblems returns what is wrong with the best of chains, apart from the name.
func (p *Policy) fewestProblems(chains [][]*x509.Certificate, now time.Time) (best []Problem) {
	for i, chain := range chains[:min(len(chains), maxExplained)] {
		problems := linkProblems(chain, now)
		if found := keyUsageProblem(chain[0]); found != nil {
			problems = append(problems, *found)
		}
		if authorized(chain) { // otherwise any certificate of the authority would cost a search of the lists
			problems = append(problems, p.chainProblems(chain, now)...)
		}
		if i == 0 || len(problems) < len(best) {
			best = problems
		}
	}
	return best
}

// unknownAuthority explains that no chain of signatures leads from the leaf to a root.
func (p *Policy) unknownAuthority(r *Refusal) *Problem {
	path := Linked(r.Sent)
	top, below, name := path[len(path)-1], path[len(path)-1], CertificateName(r.Sent[0])
	if selfIssued(top) && len(path) > 1 {
		below = path[len(path)-2]
	}
	i := slices.IndexFunc(p.roots,
		func(root *x509.Certificate) bool { return string(root.RawSubject) == string(top.RawIssuer) })
	switch {
	case errors.Is(r.err, errNoAuthority):
		return because(UnknownAuthority, "cannot be verified, because no authority is configured")
	case errors.Is(r.err, errTooMuchWork):
		return because(UnknownAuthority, "sent %d certificates; the limit of signature checks was reached "+
			"before certificate %s led to a trusted authority", len(r.Sent), name).as(CaseTooMany)
	case i >= 0 && p.signedThough(path, p.roots[i]):
		return because(Invalid, "%s", forgeableText(path)).as(CaseForgeable)
	case i >= 0 && unusableKey(p.roots[i]):
		return because(UnknownAuthority,
			"certificate %s is signed by the authority %s, whose kind of key is not supported",
			CertificateName(below), CertificateName(p.roots[i])).as(CaseKeyKind)
	case i >= 0 && slices.ContainsFunc(path[1:], unusableKey):
		return because(UnknownAuthority,
			"certificate %s is signed by an authority whose kind of key is not supported", name).as(CaseKeyKind)
	case i >= 0 && slices.ContainsFunc(path, forgeable):
		return because(UnknownAuthority, "%s", forgeableText(path)).as(CaseForgeable)
	case i >= 0 && !selfIssued(r.Sent[0]):
		return because(UnknownAuthority, "certificate %s names the trusted authority %s as its issuer, "+
			"but was not signed with that authority's key", CertificateName(below),
			CertificateName(p.roots[i])).as(CaseOtherKey)
	}
	return p.stranger(r.Sent)
}

// signedThough reports whether signatures lead from path to root if SHA-1 counts. crypto/x509 does not let it
// count.
func (p *Policy) signedThough(path []*x509.Certificate, root *x509.Certificate) bool {
	work := explainWork
	for i, cert := range path {
		issuer := root
		if i+1 < len(path) {
			issuer = path[i+1]
		}
		work -= signatureWork(issuer) + len(cert.Raw)/hashedUnit
		if work < 0 || unusableKey(issuer) ||
			issuer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil {
			return false
		}
	}
	return slices.ContainsFunc(path, forgeable)
}

// signedChains returns a few chains of signatures from sent to the roots, whatever else is wrong with them.
// crypto/x509 verifies relaxed copies; the chains hold the certificates themselves.
func (p *Policy) signedChains(sent []*x509.Certificate) (chains [][]*x509.Certificate) {
	originals := map[*x509.Certificate]*x509.Certificate{}
	relaxed := func(cert *x509.Certificate) *x509.Certificate {
		changed := relax(cert)
		originals[changed] = cert
		return changed
	}
	options := x509.VerifyOptions{Roots: p.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if p.roots != nil { // those of the system cannot be listed
		options.Roots = x509.NewCertPool()
		for _, root := range p.rootsFor(sent) {
			options.Roots.AddCert(relaxed(root))
		}
	}
	leaf := relaxed(sent[0])
	p.newSearch(sent, explainWork).run(func(path []*x509.Certificate) (done bool) {
		options.Intermediates = x509.NewCertPool()
		for _, cert := range path {
			options.Intermediates.AddCert(relaxed(cert))
		}
		found, _ := leaf.Verify(options)
		for _, chain := range found {
			for i, cert := range chain {
				if original := originals[cert]; original != nil {
					chain[i] = original
				}
			}
			chains = append(chains, chain)
		}
		return len(chains) >= maxExplained
	})
	return chains
}

// rootsFor returns the roots that sent can lead to: those that are its leaf, and those with the name of an
// issuer. There may be thousands of others.
func (p *Policy) rootsFor(sent []*x509.Certificate) (roots []*x509.Certificate) {
	names := map[string]bool{string(sent[0].RawSubject): true}
	for _, cert := range sent {
		names[string(cert.RawIssuer)] = true
	}
	for name := range names {
		roots = append(roots, p.rootsByName[name]...)
	}
	return roots
}

// relax returns cert without everything that crypto/x509 could object to, except its signature.
func relax(cert *x509.Certificate) *x509.Certificate {
	changed := *cert
	changed.NotBefore, changed.NotAfter = time.Time{}, time.Now().AddDate(1000, 0, 0)
	changed.UnhandledCriticalExtensions = nil
	changed.BasicConstraintsValid, changed.IsCA, changed.MaxPathLen, changed.KeyUsage = true, true, -1, 0
	changed.PermittedDNSDomains, changed.ExcludedDNSDomains = nil, nil
	changed.PermittedIPRanges, changed.ExcludedIPRanges = nil, nil
	changed.PermittedEmailAddresses, changed.ExcludedEmailAddresses = nil, nil
	changed.PermittedURIDomains, changed.ExcludedURIDomains = nil, nil
	return &changed
}

// linkProblems returns what is wrong with each certificate of a chain, leaf first, in its place: dates,
// extensions, usage, and that each signer is an authority.
func linkProblems(chain []*x509.Certificate, now time.Time) []Problem {
	var problems []Problem
	for i, cert := range chain {
		add := func(found *Problem) {
			if found != nil {
				found.Text = "certificate " + CertificateName(cert) + " " + found.Text
				problems = append(problems, *found)
			}
		}
		add(linkDateProblem(chain, i, now))
		add(mayBeAuthority(cert, i, len(chain)))
		if len(cert.UnhandledCriticalExtensions) > 0 {
			add(because(Invalid, "has the critical extension %s, which is not understood",
				idText(cert.UnhandledCriticalExtensions[0])).as(CaseExtension))
		}
		if !isFor(x509.ExtKeyUsageServerAuth, cert) {
			add(because(Usage, "is not meant for servers (%s)", usageText(cert)))
		}
	}
	return problems
}

// authorized reports whether each certificate of chain that signed another one was allowed to.
func authorized(chain []*x509.Certificate) bool {
	for i, cert := range chain {
		if mayBeAuthority(cert, i, len(chain)) != nil {
			return false
		}
	}
	return true
}

// mayBeAuthority returns why cert may not be an authority at place i of a chain of n. The leaf need not be
// one. The text begins with a verb.
func mayBeAuthority(cert *x509.Certificate, i, n int) *Problem {
	anchor := i == n-1
	switch {
	case i == 0:
		return nil
	case cert.BasicConstraintsValid && !cert.IsCA, !cert.BasicConstraintsValid &&
		(cert.Version >= 3 || !anchor):
		return because(Invalid, "signed another certificate but is not an authority").as(CaseNoAuthority)
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return because(Invalid,
			"signed another certificate, but its key usage lacks keyCertSign").as(CaseNoAuthority)
	case cert.BasicConstraintsValid && cert.MaxPathLen >= 0 && i-1 > cert.MaxPathLen:
		return because(Invalid, "allows %d authorities below it, and the chain has %d (path length)",
			cert.MaxPathLen, i-1).as(CasePathLength)
	}
	return nil
}

// forgeable reports whether cert depends on a signature that can be forged. The signature of a root does not
// count.
func forgeable(cert *x509.Certificate) bool {
	return brokenHash(cert.SignatureAlgorithm) && !selfIssued(cert)
}

// brokenHash reports whether signatures with an algorithm can be forged.
func brokenHash(algorithm x509.SignatureAlgorithm) bool {
	switch algorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return true
	}
	return false
}

// forgeableText names the first certificate of path that is forgeable. There must be one.
func forgeableText(path []*x509.Certificate) string {
	cert := path[slices.IndexFunc(path, forgeable)]
	return fmt.Sprintf("certificate %s is signed with %s, which can be forged", CertificateName(cert),
		cert.SignatureAlgorithm)
}

func unusableKey(cert *x509.Certificate) bool { return cert.PublicKey == nil }

// isFor reports whether the extended key usages, if there are any, include wanted.
func isFor(wanted x509.ExtKeyUsage, cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(cert.ExtKeyUsage, wanted) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// ClientUsageProblem reports that cert is not meant for clients. Its text begins with a verb.
func ClientUsageProblem(cert *x509.Certificate) *Problem {
	if isFor(x509.ExtKeyUsageClientAuth, cert) {
		return nil
	}
	return because(Usage, "is not meant for clients (%s)", usageText(cert))
}

// sentence joins problems into one text of bounded length.
func sentence(found []Problem) string {
	text := found[0].Text
	for i, f := range found[1:] {
		if i+1 == maxProblems || len(text)+len(f.Text) > safetext.MaxLength-100 {
			return safetext.Clip(text,
				safetext.MaxLength-100) + fmt.Sprintf("; also, there are %d more problems", len(found)-i-1)
		}
		text += "; also, " + f.Text
	}
	return safetext.Clip(text, safetext.MaxLength)
}

// Linked orders what was sent by issuer and subject, from the leaf on, at most MaxLinked. It proves nothing;
// it is for people to read.
func Linked(sent []*x509.Certificate) []*x509.Certificate {
	path := []*x509.Certificate{sent[0]}
	for len(path) < MaxLinked {
		top := path[len(path)-1]
		i := -1
		for j, cert := range sent {
			if bytes.Equal(cert.RawSubject, top.RawIssuer) && !Contains(path, cert) {
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

// Contains reports whether cert is one of certs.
func Contains(certs []*x509.Certificate, cert *x509.Certificate) bool {
	for _, c := range certs {
		if c.Equal(cert) {
			return true
		}
	}
	return false
}
