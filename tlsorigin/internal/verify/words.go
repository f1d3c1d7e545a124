package tlsorigin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// explain translates one error of crypto/x509 about a certificate that an authority vouches for.
func explain(err error, sent []*x509.Certificate, now time.Time) finding {
	leaf := sent[0]
	var invalid x509.CertificateInvalidError
	var extension x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &invalid):
		return explainInvalid(invalid, now)
	case errors.As(err, &extension):
		return finding{ReasonCertInvalid, fmt.Sprintf("certificate %s, or one above it, has a critical extension that is not understood", certificateName(leaf))}
	}
	return finding{ReasonCertInvalid, fmt.Sprintf("certificate %s cannot be verified", certificateName(leaf))}
}

func explainInvalid(err x509.CertificateInvalidError, now time.Time) finding {
	name := certificateName(err.Cert)
	because := func(text string) finding {
		return finding{ReasonCertInvalid, fmt.Sprintf("certificate %s %s", name, text)}
	}
	switch err.Reason {
	case x509.Expired: // also stands for: not yet valid
		if kind, problem := dateProblem(err.Cert, now); problem != "" {
			return finding{kind, fmt.Sprintf("certificate %s %s", name, problem)}
		}
		return because("is outside its dates")
	case x509.IncompatibleUsage:
		return finding{ReasonCertUsage, fmt.Sprintf("certificate %s, or an authority above it, is not meant for servers (%s)", name, usageText(err.Cert))}
	case x509.NotAuthorizedToSign:
		return because("signed another one but is not that of an authority")
	case x509.TooManyIntermediates:
		return because("allows fewer authorities below it than the chain has")
	case x509.CANotAuthorizedForThisName:
		return because("has a name that an authority of its chain must not issue for (name constraints)")
	}
	return because("cannot be verified")
}

// namesOf returns the names that a certificate is valid for, quoted, the first few of many.
func namesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames[:min(len(cert.DNSNames), maxNames+1)])
	for _, ip := range cert.IPAddresses[:min(len(cert.IPAddresses), maxNames+1)] {
		names = append(names, ip.String())
	}
	return quoteEach(names)
}

// nameText explains that the certificate is not valid for name.
func nameText(cert *x509.Certificate, name string) string {
	names := namesOf(cert)
	switch {
	case len(names) > 0:
		return fmt.Sprintf("certificate is valid for %s, not %s%s", strings.Join(names, ", "), quote(name), ipNote(cert, name))
	case cert.Subject.CommonName != "":
		return fmt.Sprintf("certificate has the name %s only as its Common Name, which does not count: it has to be reissued with a subject alternative name (SAN) %s",
			quote(cert.Subject.CommonName), quote(name))
	}
	return fmt.Sprintf("certificate is valid for no name at all, not %s", quote(name))
}

// ipNote explains the one mismatch that looks like a match.
func ipNote(cert *x509.Certificate, name string) string {
	if _, err := netip.ParseAddr(name); err == nil && slices.Contains(cert.DNSNames, name) {
		return " as an IP address (it stands there as a DNS name)"
	}
	return ""
}

// authorityText explains that the chain of sent ends at nobody who is trusted.
func authorityText(sent []*x509.Certificate) string {
	leaf := sent[0]
	if string(leaf.RawIssuer) == string(leaf.RawSubject) {
		return fmt.Sprintf("certificate %s is self-signed and not among the trusted certificates", certificateName(leaf))
	}
	top := leaf
	for _, cert := range sent[1:] {
		if string(cert.RawSubject) == string(top.RawIssuer) && string(cert.RawIssuer) != string(cert.RawSubject) {
			top = cert
		}
	}
	return fmt.Sprintf("certificate %s is signed by an authority that is not trusted: %s", certificateName(leaf), nameOf(top.Issuer))
}

// dateProblem says whether cert is outside its dates; text is empty if it is not.
func dateProblem(cert *x509.Certificate, now time.Time) (kind Reason, text string) {
	switch {
	case now.After(cert.NotAfter):
		return ReasonCertExpired, fmt.Sprintf("expired %s, %s ago", stamp(cert.NotAfter), span(now.Sub(cert.NotAfter)))
	case now.Before(cert.NotBefore):
		return ReasonCertNotYetValid, fmt.Sprintf("is not valid before %s, in %s", stamp(cert.NotBefore), span(cert.NotBefore.Sub(now)))
	}
	return "", ""
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span is a duration for people, rounded down to the unit in which it is at least two: who reads it wants to know whether
// it is a matter of clocks or of a forgotten renewal.
func span(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if d >= 2*unit.of {
			return fmt.Sprintf("%d %s", d/unit.of, unit.name)
		}
	}
	return d.Round(time.Second).String()
}

// usageText lists the extended key usages of cert in words, each once.
func usageText(cert *x509.Certificate) string {
	var usages []string
	for _, usage := range cert.ExtKeyUsage {
		if text := usage.String(); !slices.Contains(usages, text) {
			usages = append(usages, text)
		}
	}
	if len(usages) == 0 {
		return "no extended key usage that is known"
	}
	return "extended key usage: " + strings.Join(usages, ", ")
}

// certificateName names a certificate: by its Common Name, else its first alternative name, else its whole subject.
func certificateName(cert *x509.Certificate) string {
	if cert.Subject.CommonName == "" && len(cert.DNSNames) > 0 {
		return quote(cert.DNSNames[0])
	}
	return nameOf(cert.Subject)
}

// nameOf names somebody by the Common Name, else by the first few attributes: writing them all takes
// quadratic time.
func nameOf(name pkix.Name) string {
	if name.CommonName != "" {
		return quote(name.CommonName)
	}
	if len(name.Names) > maxAttributes {
		return quote(pkix.Name{ExtraNames: name.Names[:maxAttributes]}.String() + ",…")
	}
	return quote(name.String())
}

// idText writes the first arcs of an object identifier, which can have thousands.
func idText(id asn1.ObjectIdentifier) string {
	if len(id) > maxArcs {
		return id[:maxArcs].String() + ".…"
	}
	return id.String()
}
