package verify

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// problems returns what the CRLs have against a verified chain. As libpq does with sslcrl, each certificate
// below the anchor needs a CRL of its issuer that is in force. The anchor needs none, because the
// configuration trusts it; but a revoked anchor is refused, too.
func (r *CRLs) problems(chain []*x509.Certificate, now time.Time) []Problem {
	var problems []Problem
	for i, cert := range chain[:len(chain)-1] {
		if found := r.problem(cert, chain[i+1], now); found != nil {
			problems = append(problems, *found)
		}
	}
	anchor := chain[len(chain)-1]
	for _, list := range r.byIssuer[string(anchor.RawIssuer)] {
		entry, listed := list.revoked.find(anchor)
		if listed && list.begun(now) && (!selfIssued(anchor) ||
			list.signed(anchor)) { // the issuer of another one is not at hand
			return append(problems, *revokedProblem(anchor, list, entry))
		}
	}
	return problems
}

// problem checks one certificate against the CRLs of its issuer. Each CRL that the issuer signed and that has
// begun can revoke it. If none does, the newest has to be in force.
func (r *CRLs) problem(cert, issuer *x509.Certificate, now time.Time) *Problem {
	unchecked := func(reason Reason, format string, args ...any) *Problem {
		return because(reason, "certificate %s cannot be checked for revocation: %s", CertificateName(cert),
			fmt.Sprintf(format, args...)).with(CertificateName(issuer))
	}
	lists := r.byIssuer[string(cert.RawIssuer)]
	if len(lists) == 0 {
		return unchecked(CRLMissing, "there is no CRL of its issuer %s", CertificateName(issuer))
	}
	if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return unchecked(Invalid, "its issuer %s may not sign CRLs (its key usage lacks cRLSign)",
			CertificateName(issuer)).as(CaseListUsage)
	}
	lists = slices.DeleteFunc(slices.Clone(lists), func(l *revocationList) bool { return !l.signed(issuer) })
	if len(lists) == 0 {
		return unchecked(CRLMissing, "the CRL of its issuer %s was not signed with that authority's key",
			CertificateName(issuer)).as(CaseListSigner)
	}
	for _, list := range lists {
		if entry, ok := list.revoked.find(cert); ok && list.begun(now) {
			return revokedProblem(cert, list, entry)
		}
	}
	list := newest(lists, now)
	if err := list.validity(now); err != nil {
		found := unchecked(CRLStale, "%s", err.Error())
		if !list.begun(now) {
			found = found.as(CaseListBegins)
		}
		return found
	}
	return nil
}

func revokedProblem(cert *x509.Certificate, list *revocationList, entry revocation) *Problem {
	return because(Revoked, "certificate %s (serial number %s) was revoked by %s on %s (reason: %s)",
		CertificateName(cert), SerialText(cert), list.issuer, stamp(entry.at), reasonText(entry.reason))
}

// SerialText writes the serial number of cert as openssl does, with colons. It stops after 20 bytes, which
// RFC 5280 allows at most.
func SerialText(cert *x509.Certificate) string {
	if cert.SerialNumber == nil {
		return ""
	}
	octets := cert.SerialNumber.Bytes()
	if len(octets) == 0 {
		octets = []byte{0}
	}
	var parts []string
	for i, octet := range octets {
		if i == 20 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%02X", octet))
	}
	return strings.Join(parts, ":")
}

// reasonText names a CRL reason code of RFC 5280, 5.3.1.
func reasonText(code int) string {
	words := []string{
		"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
		"certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
	}
	if code < 0 || code >= len(words) || words[code] == "" {
		return fmt.Sprintf("code %d", code)
	}
	return words[code]
}
