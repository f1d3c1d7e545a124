package tlsorigin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// maxFindings bounds how many problems of one chain the sentence of an Error mentions.
	maxFindings = 8
	// maxJudged bounds the chains of which the one with the fewest problems is explained.
	maxJudged = 4
)

// reasons lists what is wrong with what a peer sent, the one that counts first. It decides nothing: r is
// decided.
//
// The order is that of trust. If no authority vouches for the certificate, this is all that is said, for the
// peer could have written the rest as it liked. Then come a chain that proves nothing, dates, usage,
// revocation and pins, and the name last: only a certificate that an authority vouches for may suggest
// another name. anchored says that one does.
func (t *trust) reasons(r *refusal, name string, now time.Time) (found []finding, anchored bool) {
	switch {
	case errors.Is(r.err, errNothingSent):
		return []finding{{ReasonCertInvalid, "sent no certificate"}}, false
	case errors.Is(r.err, errTooLarge):
		return []finding{{ReasonCertInvalid, fmt.Sprintf("sent %d bytes of certificates, at most %d are accepted", sizeOf(r.sent), maxSent)}}, false
	}
	chains := r.chains
	if chains == nil {
		chains = t.signedChains(r.sent)
	}
	if len(chains) == 0 {
		return []finding{t.unknownAuthority(r)}, false
	}
	found = t.fewestProblems(chains, now)
	var invalid x509.CertificateInvalidError
	if errors.As(r.err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		found = append(found, explainInvalid(invalid, now))
	}
	if !t.verifyCA && r.sent[0].VerifyHostname(name) != nil {
		found = append(found, finding{ReasonCertNameMismatch, nameText(r.sent[0], name)})
	}
	if len(found) == 0 {
		found = []finding{explain(r.err, r.sent, now)}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return rank(a.kind) - rank(b.kind) })
	return slices.Compact(found), true
}

// rank orders reasons by how much they depend on: each only means something if none before it applies.
func rank(kind Reason) int {
	return slices.Index([]Reason{
		ReasonCertUnknownAuthority, ReasonCertInvalid, ReasonCertExpired, ReasonCertNotYetValid, ReasonCertUsage,
		ReasonCertRevoked, ReasonCertPinMismatch, ReasonCertNameMismatch,
	}, kind)
}

// fewestProblems returns what is wrong with the best of chains, the name apart.
func (t *trust) fewestProblems(chains [][]*x509.Certificate, now time.Time) (best []finding) {
	for i, chain := range chains[:min(len(chains), maxJudged)] {
		problems := linkProblems(chain, now)
		if found, ok := keyUsageProblem(chain[0]); ok {
			problems = append(problems, found)
		}
		if authorized(chain) { // else any certificate of the authority would have revocation lists searched
			problems = append(problems, t.chainProblems(chain, now)...)
		}
		if i == 0 || len(problems) < len(best) {
			best = problems
		}
	}
	return best
}

// unknownAuthority explains that no chain of signatures leads from the leaf to an anchor.
func (t *trust) unknownAuthority(r *refusal) finding {
	path := linked(r.sent)
	top, name := path[len(path)-1], certificateName(r.sent[0])
	i := slices.IndexFunc(t.roots, func(root *x509.Certificate) bool { return string(root.RawSubject) == string(top.RawIssuer) })
	text := authorityText(r.sent)
	switch {
	case errors.Is(r.err, errNoAuthority):
		text = "cannot be verified, because no authority is configured"
	case errors.Is(r.err, errTooMuchWork):
		text = fmt.Sprintf("sent %d certificates; the limit of signature checks was reached before certificate %s led to a trusted authority", len(r.sent), name)
	case i >= 0 && t.signedThough(path, t.roots[i]):
		return finding{ReasonCertInvalid, forgeableText(path)}
	case i >= 0 && unusableKey(t.roots[i]):
		text = fmt.Sprintf("certificate %s is signed by the authority %s, whose kind of key is not supported", name, certificateName(t.roots[i]))
	case i >= 0 && slices.ContainsFunc(path[1:], unusableKey):
		text = fmt.Sprintf("certificate %s is signed by an authority whose kind of key is not supported", name)
	case i >= 0 && slices.ContainsFunc(path, forgeable):
		text = forgeableText(path)
	case i >= 0:
		text = fmt.Sprintf("certificate %s names the trusted authority %s as its issuer, but was not signed with that authority's key", name, certificateName(t.roots[i]))
	}
	return finding{ReasonCertUnknownAuthority, text}
}

// signedThough reports whether signatures lead from path to root if SHA-1 counts, which crypto/x509 does not
// let count.
func (t *trust) signedThough(path []*x509.Certificate, root *x509.Certificate) bool {
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

// signedChains returns a few chains that signatures make from sent to the anchors, whatever else is wrong
// with them. They are of the certificates themselves, although crypto/x509 has judged relaxed copies.
func (t *trust) signedChains(sent []*x509.Certificate) (chains [][]*x509.Certificate) {
	originals := map[*x509.Certificate]*x509.Certificate{}
	relaxed := func(cert *x509.Certificate) *x509.Certificate {
		changed := relax(cert)
		originals[changed] = cert
		return changed
	}
	options := x509.VerifyOptions{Roots: t.template.RootCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if t.roots != nil { // those of the system cannot be listed
		options.Roots = x509.NewCertPool()
		for _, root := range t.roots {
			options.Roots.AddCert(relaxed(root))
		}
	}
	leaf := relaxed(sent[0])
	t.newSearch(sent, explainWork).run(func(path []*x509.Certificate) (done bool) {
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
		return len(chains) >= maxJudged
	})
	return chains
}

// relax returns cert without everything that crypto/x509 could object to, save its signature.
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

// linkProblems judges each certificate of a chain, leaf first, in its place: dates, extensions, what
// authorities must be, usage and algorithms.
func linkProblems(chain []*x509.Certificate, now time.Time) []finding {
	var problems []finding
	for i, cert := range chain {
		add := func(kind Reason, text string) {
			problems = append(problems, finding{kind, "certificate " + certificateName(cert) + " " + text})
		}
		if kind, text := dateProblem(cert, now); text != "" {
			add(kind, text)
		}
		if text := authorityProblem(cert, i, len(chain)); text != "" {
			add(ReasonCertInvalid, text)
		}
		if len(cert.UnhandledCriticalExtensions) > 0 {
			add(ReasonCertInvalid, "has the critical extension "+idText(cert.UnhandledCriticalExtensions[0])+", which is not understood")
		}
		if !forServers(cert) {
			add(ReasonCertUsage, "is not meant for servers ("+usageText(cert)+")")
		}
	}
	return problems
}

// authorized reports whether each certificate of chain that signed another one was allowed to.
func authorized(chain []*x509.Certificate) bool {
	for i, cert := range chain {
		if authorityProblem(cert, i, len(chain)) != "" {
			return false
		}
	}
	return true
}

// authorityProblem says why cert, at place i of a chain of n, may not be an authority there; nothing for the
// leaf.
func authorityProblem(cert *x509.Certificate, i, n int) string {
	anchor := i == n-1
	switch {
	case i == 0:
		return ""
	case cert.BasicConstraintsValid && !cert.IsCA, !cert.BasicConstraintsValid && (cert.Version >= 3 || !anchor):
		return "signed another one but is not that of an authority"
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return "signed another one although its key usage lacks keyCertSign"
	case cert.BasicConstraintsValid && cert.MaxPathLen >= 0 && i-1 > cert.MaxPathLen:
		return fmt.Sprintf("allows %d authorities below it, and the chain has %d (path length)", cert.MaxPathLen, i-1)
	}
	return ""
}

// forgeable reports whether cert depends on a signature that can be forged. That of a root does not count.
func forgeable(cert *x509.Certificate) bool {
	return brokenHash(cert.SignatureAlgorithm) && string(cert.RawIssuer) != string(cert.RawSubject)
}

// brokenHash reports whether signatures with an algorithm can be forged.
func brokenHash(algorithm x509.SignatureAlgorithm) bool {
	switch algorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return true
	}
	return false
}

// forgeableText is about the first certificate of path that is forgeable; there is one.
func forgeableText(path []*x509.Certificate) string {
	cert := path[slices.IndexFunc(path, forgeable)]
	return fmt.Sprintf("certificate %s is signed with %s, which can be forged", certificateName(cert), cert.SignatureAlgorithm)
}

func unusableKey(cert *x509.Certificate) bool { return cert.PublicKey == nil }

// forServers reports whether the extended key usages, if there are any, include servers.
func forServers(cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.ContainsFunc(cert.ExtKeyUsage, func(usage x509.ExtKeyUsage) bool {
		return usage == x509.ExtKeyUsageServerAuth || usage == x509.ExtKeyUsageAny
	})
}

// sentence joins findings into one text of bounded length.
func sentence(found []finding) string {
	text := found[0].text
	for i, f := range found[1:] {
		if i+1 == maxFindings || len(text)+len(f.text) > maxText-100 {
			return clip(text, maxText-100) + fmt.Sprintf("; also, there are %d more problems", len(found)-i-1)
		}
		text += "; also, " + f.text
	}
	return clip(text, maxText)
}
