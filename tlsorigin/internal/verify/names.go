package verify

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// nameProblem explains that the leaf of chains, for which a trusted authority vouches, is not valid for name.
// Only an authority of one's own may suggest another name. Public ones vouch for every stranger's name, too.
func (p *Policy) nameProblem(chains [][]*x509.Certificate, name string) *Problem {
	leaf := chains[0][0]
	found := because(NameMismatch, "%s", nameText(leaf, name))
	other, wildcard := usableName(leaf), usableWildcard(leaf)
	switch own := p.roots != nil && !slices.ContainsFunc(chains, p.public); {
	case own && other != "":
		return found.as(CaseOtherName).with(other)
	case own && wildcard != "":
		return found.as(CaseWildcard).with(wildcard)
	case own:
		return found.as(CaseNoNameOwnCA).with(safetext.Quote(name))
	case other+wildcard == "":
		return found.as(CaseNoName).with(safetext.Quote(name))
	}
	return found
}

// public reports whether the system trusts the anchor of chain, too. Many configure a public authority, or the
// whole bundle of the system.
func (p *Policy) public(chain []*x509.Certificate) bool {
	if p.System == nil {
		return false
	}
	system, err := p.System()
	if err != nil {
		return false
	}
	anchor := chain[len(chain)-1]
	_, err = anchor.Verify(x509.VerifyOptions{
		Roots: system, CurrentTime: anchor.NotAfter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil
}

// nameText explains that the certificate is not valid for name.
func nameText(cert *x509.Certificate, name string) string {
	names := NamesOf(cert)
	switch {
	case len(names) > 0:
		return fmt.Sprintf("certificate is valid for %s, not %s%s", strings.Join(names, ", "),
			safetext.Quote(name), ipNote(cert, name))
	case cert.Subject.CommonName != "":
		return fmt.Sprintf("certificate has the name %s only as its Common Name, which does not count: "+
			"it has to be reissued with a subject alternative name (SAN) %s",
			safetext.Quote(cert.Subject.CommonName), safetext.Quote(name))
	}
	return fmt.Sprintf("certificate is valid for no name at all, not %s", safetext.Quote(name))
}

// ipNote explains the one mismatch that looks like a match.
func ipNote(cert *x509.Certificate, name string) string {
	if _, err := netip.ParseAddr(name); err == nil && slices.Contains(cert.DNSNames, name) {
		return " as an IP address (it stands there as a DNS name)"
	}
	return ""
}

// usableName returns the first alternative name of cert that a connection could ask for, or "". It looks at
// a few, DNS names first.
func usableName(cert *x509.Certificate) string {
	for _, name := range first(cert.DNSNames) {
		if isHostName(name) && cert.VerifyHostname(name) == nil {
			return name
		}
	}
	for _, ip := range first(cert.IPAddresses) {
		if name := ip.String(); cert.VerifyHostname(name) == nil {
			return name
		}
	}
	return ""
}

// usableWildcard returns the first wildcard among the first names of cert, or "".
func usableWildcard(cert *x509.Certificate) string {
	for _, name := range first(cert.DNSNames) {
		if parent, ok := strings.CutPrefix(name, "*."); ok && isHostName(parent) {
			return name
		}
	}
	return ""
}

// isHostName reports whether name has nothing but labels of letters, digits, hyphens and underscores, and is
// no IP address.
func isHostName(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		isForeign := func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}
		if label == "" || strings.ContainsFunc(label, isForeign) {
			return false
		}
	}
	return true
}

// first returns as many of all as a sentence names.
func first[T any](all []T) []T { return all[:min(len(all), safetext.MaxNames)] }
