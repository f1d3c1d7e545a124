package verify

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// stranger explains that what was sent leads to no authority that is trusted here. All names are quoted, and
// none of them is a Value: anybody could have written them.
func (p *Policy) stranger(sent []*x509.Certificate) *Problem {
	leaf, name := sent[0], CertificateName(sent[0])
	path := Linked(sent)
	top := path[len(path)-1]
	issuer := NameOf(top.Issuer)
	var found *Problem
	switch alone := len(path) == 1; {
	case selfIssued(leaf):
		found = because(UnknownAuthority,
			"certificate %s is self-signed and not among the trusted certificates", name).as(CaseSelfSigned)
		if len(p.rootsByName[string(leaf.RawSubject)]) > 0 {
			found.Text += ", though another of that name is"
		}
	case alone && len(sent) > 1:
		found = because(ChainIncomplete, "sent %d certificates; that of the authority %s, "+
			"which issued its own certificate %s, was not sent and is not trusted", len(sent), issuer, name)
	case alone && ByIntermediate(leaf):
		found = because(ChainIncomplete, "sent only its own certificate %s; that of the authority %s, "+
			"which issued it, was not sent and is not trusted", name, issuer)
	case selfIssued(top):
		found = because(UnknownAuthority, "certificate %s is signed by an authority that is not trusted: %s",
			name, issuer)
	default:
		found = because(UnknownAuthority,
			"certificate %s is signed by an authority that was not sent and is not trusted: %s", name, issuer)
	}
	if found.Case == "" && found.Reason == UnknownAuthority && p.roots != nil {
		found.Case = CaseOtherCA
	}
	found.Text += "; trusted here: " + p.trustedText()
	return found
}

// ByIntermediate reports whether cert shows that its issuer is an intermediate, as far as a certificate can
// show that without its issuer. Every certificate of a public authority says where to get that of its issuer.
// Private authorities say it less often, but many intermediates have it in their names.
func ByIntermediate(cert *x509.Certificate) bool {
	isPublished := slices.ContainsFunc(cert.IssuingCertificateURL, func(url string) bool {
		return strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")
	})
	issuer := strings.ToLower(cert.Issuer.CommonName)
	return isPublished || slices.ContainsFunc([]string{"intermediate", "issuing", "subordinate"},
		func(word string) bool { return strings.Contains(issuer, word) })
}

// trustedText names the authorities that are trusted, the first few of many.
func (p *Policy) trustedText() string {
	const few = 3
	switch {
	case p.roots == nil && p.systemRoots == 0:
		return "the authorities of the system"
	case p.roots == nil && p.systemRoots == 1:
		return "1 authority of the system"
	case p.roots == nil:
		return fmt.Sprintf("the %d authorities of the system", p.systemRoots)
	}
	var names []string
	for _, root := range p.roots[:min(len(p.roots), few)] {
		names = append(names, CertificateName(root))
	}
	text := strings.Join(names, ", ")
	if more := len(p.roots) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }
