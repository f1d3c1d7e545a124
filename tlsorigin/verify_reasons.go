package tlsorigin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxFindings bounds how many problems of one chain the sentence of an Error mentions.
const maxFindings = 8

// reasons lists everything that is wrong with what a peer sent. crypto/x509 and checkPolicy stop at the first problem, and
// whoever has to reissue certificates wants to know all at once, so dates, name, authority, usage, policy, revocation and
// pins are looked at once more, each by itself. It decides nothing: first is why the chain was refused, and its reason
// stays the first, unless crypto/x509 took for an unknown authority what is something else.
func (t *trust) reasons(sent []*x509.Certificate, name string, first finding, now time.Time) []finding {
	if len(sent) == 0 {
		return []finding{{ReasonCertInvalid, "sent no certificate"}}
	}
	leaf := sent[0]
	found := t.problemsOf(sent, now)
	chained := len(found) > 0
	if name != "" && leaf.VerifyHostname(name) != nil {
		found = append(found, finding{ReasonCertNameMismatch, nameText(leaf, name)})
	}
	if text, unknown := t.unknownAuthority(sent); unknown {
		found = append(found, finding{ReasonCertUnknownAuthority, text})
	} else if first.kind == ReasonCertUnknownAuthority && chained {
		first = found[0] // an authority of the chain is known but may not vouch, for instance because it has expired
	}
	slices.SortStableFunc(found, func(a, b finding) int { return order(a.kind, first.kind) - order(b.kind, first.kind) })
	if len(found) == 0 || found[0].kind != first.kind {
		found = append([]finding{first}, found...)
	}
	return slices.CompactFunc(found, func(a, b finding) bool { return a == b })
}

// order sorts reasons: the first one, then as a person would check them.
func order(kind, first Reason) int {
	if kind == first {
		return -1
	}
	return slices.Index([]Reason{
		ReasonCertExpired, ReasonCertNotYetValid, ReasonCertNameMismatch, ReasonCertUnknownAuthority, ReasonCertUsage,
		ReasonCertInvalid, ReasonCertRevoked, ReasonCertPinMismatch,
	}, kind)
}

// problemsOf returns what is wrong with the chain of sent that has the fewest problems, name and authority apart. Where no
// chain leads to an anchor, it judges the certificates that name each other as issuers.
func (t *trust) problemsOf(sent []*x509.Certificate, now time.Time) []finding {
	chains, _ := t.signedChains(sent, relax)
	if len(chains) == 0 {
		return slices.Concat(linkProblems(linked(sent), now), leafProblems(sent[0]))
	}
	var best []finding
	for i, chain := range chains {
		problems := slices.Concat(linkProblems(chain, now), t.constraintProblems(sent), leafProblems(sent[0]), t.chainProblems(chain, now))
		if i == 0 || len(problems) < len(best) {
			best = problems
		}
	}
	return best
}

// unknownAuthority explains that no chain of signatures leads from the leaf to an anchor.
func (t *trust) unknownAuthority(sent []*x509.Certificate) (text string, unknown bool) {
	chains, err := t.signedChains(sent, relax)
	var authority x509.UnknownAuthorityError
	if len(chains) > 0 || !errors.As(err, &authority) {
		return "", false
	}
	path := linked(sent)
	top := path[len(path)-1]
	i := slices.IndexFunc(t.roots, func(root *x509.Certificate) bool { return string(root.RawSubject) == string(top.RawIssuer) })
	switch {
	case slices.ContainsFunc(path, forgeable), slices.ContainsFunc(path[1:], unusableKey):
		return "", false // which linkProblems says, and which is why
	case i >= 0 && unusableKey(t.roots[i]):
		return fmt.Sprintf("certificate %s is signed by the authority %s, whose kind of key is not supported", certificateName(sent[0]), certificateName(t.roots[i])), true
	case i >= 0:
		return fmt.Sprintf("certificate %s names the trusted authority %s as its issuer, but was not signed with that authority's key",
			certificateName(sent[0]), certificateName(t.roots[i])), true
	}
	return authorityText(sent), true
}

// signedChains returns the chains that signatures make from sent to the anchors, of the certificates themselves although
// crypto/x509 has judged copies of them that were changed by change.
func (t *trust) signedChains(sent []*x509.Certificate, change func(*x509.Certificate)) ([][]*x509.Certificate, error) {
	originals := map[*x509.Certificate]*x509.Certificate{}
	copyOf := func(cert *x509.Certificate) *x509.Certificate {
		changed := *cert
		change(&changed)
		originals[&changed] = cert
		return &changed
	}
	options := x509.VerifyOptions{
		Roots: t.template.RootCAs, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	if t.roots != nil { // those of the system cannot be listed
		options.Roots = x509.NewCertPool()
		for _, root := range t.roots {
			options.Roots.AddCert(copyOf(root))
		}
	}
	for _, cert := range sent[1:] {
		options.Intermediates.AddCert(copyOf(cert))
	}
	chains, err := copyOf(sent[0]).Verify(options)
	for _, chain := range chains {
		for i, cert := range chain {
			if original := originals[cert]; original != nil {
				chain[i] = original
			}
		}
	}
	return chains, err
}

// relax takes everything from a certificate that crypto/x509 could object to, save its signature.
func relax(cert *x509.Certificate) {
	relaxButConstraints(cert)
	cert.PermittedDNSDomains, cert.ExcludedDNSDomains = nil, nil
	cert.PermittedIPRanges, cert.ExcludedIPRanges = nil, nil
	cert.PermittedEmailAddresses, cert.ExcludedEmailAddresses = nil, nil
	cert.PermittedURIDomains, cert.ExcludedURIDomains = nil, nil
}

// relaxButConstraints is relax that leaves name constraints.
func relaxButConstraints(cert *x509.Certificate) {
	cert.NotBefore, cert.NotAfter = time.Time{}, time.Now().AddDate(1000, 0, 0)
	cert.UnhandledCriticalExtensions = nil
	cert.BasicConstraintsValid, cert.IsCA, cert.MaxPathLen, cert.KeyUsage = true, true, -1, 0
}

// constraintProblems reports names that an authority must not issue for.
func (t *trust) constraintProblems(sent []*x509.Certificate) []finding {
	_, err := t.signedChains(sent, relaxButConstraints)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		return []finding{explainInvalid(invalid, time.Now())}
	}
	return nil
}

func leafProblems(leaf *x509.Certificate) []finding {
	if found, ok := keyUsageProblem(leaf); ok {
		return []finding{found}
	}
	return nil
}

// linkProblems judges each certificate of a chain, leaf first, in its place: dates, extensions, what authorities must be,
// usage and algorithms.
func linkProblems(chain []*x509.Certificate, now time.Time) []finding {
	var problems []finding
	for i, cert := range chain {
		add := func(kind Reason, format string, args ...any) {
			problems = append(problems, finding{kind, "certificate " + certificateName(cert) + " " + fmt.Sprintf(format, args...)})
		}
		if kind, text := dateProblem(cert, now); text != "" {
			add(kind, "%s", text)
		}
		if text := authorityProblem(cert, i, len(chain)); i > 0 && text != "" {
			add(ReasonCertInvalid, "%s", text)
		}
		if len(cert.UnhandledCriticalExtensions) > 0 {
			add(ReasonCertInvalid, "has the critical extension %v, which is not understood", cert.UnhandledCriticalExtensions[0])
		}
		selfSigned := string(cert.RawIssuer) == string(cert.RawSubject)
		if forgeable(cert) && !selfSigned {
			add(ReasonCertInvalid, "is signed with %s, which can be forged", cert.SignatureAlgorithm)
		}
		if unusableKey(cert) {
			add(ReasonCertInvalid, "has a kind of key that is not supported")
		}
		if !forServers(cert) {
			add(ReasonCertUsage, "is not meant for servers (%s)", usageText(cert))
		}
	}
	return problems
}

// authorityProblem says why cert, with i certificates below it in a chain of n, may not be an authority there.
func authorityProblem(cert *x509.Certificate, i, n int) string {
	anchor := i == n-1
	switch {
	case cert.BasicConstraintsValid && !cert.IsCA, !cert.BasicConstraintsValid && (cert.Version >= 3 || !anchor):
		return "signed another one but is not that of an authority"
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return "signed another one although its key usage lacks keyCertSign"
	case cert.BasicConstraintsValid && cert.MaxPathLen >= 0 && i-1 > cert.MaxPathLen:
		return fmt.Sprintf("allows %d authorities below it, and the chain has %d (path length)", cert.MaxPathLen, i-1)
	}
	return ""
}

// forgeable reports a signature whose hash has been broken.
func forgeable(cert *x509.Certificate) bool {
	switch cert.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return true
	}
	return false
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

// sentence joins findings into one text.
func sentence(found []finding) string {
	var texts []string
	for i, f := range found {
		if i == maxFindings {
			texts = append(texts, fmt.Sprintf("there are %d more problems", len(found)-i))
			break
		}
		texts = append(texts, f.text)
	}
	return strings.Join(texts, "; also, ")
}
