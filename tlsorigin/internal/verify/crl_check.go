package tlsorigin

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// problems returns what the CRLs have against a verified chain. As libpq does with sslcrl, each certificate below the
// anchor needs a CRL of its issuer that is in force. The anchor needs none, because it is trusted by being configured, but
// one that is listed is refused, too.
func (r *revocations) problems(chain []*x509.Certificate, now time.Time) []finding {
	var problems []finding
	for i, cert := range chain[:len(chain)-1] {
		if found, ok := r.problem(cert, chain[i+1], now); ok {
			problems = append(problems, found)
		}
	}
	anchor := chain[len(chain)-1]
	selfIssued := string(anchor.RawIssuer) == string(anchor.RawSubject)
	for _, list := range r.byIssuer[string(anchor.RawIssuer)] {
		entry, listed := list.revoked.find(anchor)
		if listed && list.begun(now) && (!selfIssued || list.signed(anchor)) { // the issuer of another one is not at hand
			return append(problems, revokedFinding(anchor, list, entry))
		}
	}
	return problems
}

// problem judges one certificate by the CRLs of its issuer. Each that the issuer signed and that has begun
// can revoke it. If none does, the newest has to be in force.
func (r *revocations) problem(cert, issuer *x509.Certificate, now time.Time) (finding, bool) {
	invalid := func(text string) (finding, bool) {
		return finding{ReasonCertInvalid, fmt.Sprintf("certificate %s cannot be checked for revocation: %s", certificateName(cert), text)}, true
	}
	lists := r.byIssuer[string(cert.RawIssuer)]
	if len(lists) == 0 {
		return invalid(fmt.Sprintf("there is no CRL of its issuer %s: add it", certificateName(issuer)))
	}
	if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return invalid(fmt.Sprintf("its issuer %s may not sign CRLs (its key usage lacks cRLSign)", certificateName(issuer)))
	}
	lists = slices.DeleteFunc(slices.Clone(lists), func(l *revocationList) bool { return !l.signed(issuer) })
	if len(lists) == 0 {
		return invalid(fmt.Sprintf("the CRL of its issuer %s was not signed with that authority's key: fetch the right one", certificateName(issuer)))
	}
	for _, list := range lists {
		if entry, ok := list.revoked.find(cert); ok && list.begun(now) {
			return revokedFinding(cert, list, entry), true
		}
	}
	if text := newest(lists, now).validity(now); text != "" {
		return invalid(text)
	}
	return finding{}, false
}

func revokedFinding(cert *x509.Certificate, list *revocationList, entry revocation) finding {
	return finding{ReasonCertRevoked, fmt.Sprintf("certificate %s (serial number %s) was revoked by %s on %s (reason: %s)",
		certificateName(cert), serialText(cert), list.issuer, stamp(entry.at), reasonText(entry.reason))}
}

// serialText writes a serial number as openssl does, with colons, the first 20 bytes: RFC 5280 allows no more.
func serialText(cert *x509.Certificate) string {
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
