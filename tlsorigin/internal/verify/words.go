package verify

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

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

const (
	maxAttributes = 12 // of a distinguished name
	maxArcs       = 16 // of an object identifier
)

// explain words an error of crypto/x509 in which this package finds nothing wrong but the name constraints.
func explain(err error, sent []*x509.Certificate) Problem {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		return *because(Invalid,
			"certificate %s has a name that an authority of its chain must not issue for (name constraints)",
			CertificateName(invalid.Cert))
	}
	return *because(Invalid, "certificate %s cannot be verified", CertificateName(sent[0]))
}

// NamesOf returns the names that cert is valid for, quoted, the first few of many.
func NamesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames[:min(len(cert.DNSNames), safetext.MaxNames+1)])
	for _, ip := range cert.IPAddresses[:min(len(cert.IPAddresses), safetext.MaxNames+1)] {
		names = append(names, ip.String())
	}
	return safetext.QuoteEach(names)
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

// authorityText explains that no certificate of sent leads to a trusted one.
func authorityText(sent []*x509.Certificate) string {
	leaf := sent[0]
	if string(leaf.RawIssuer) == string(leaf.RawSubject) {
		return fmt.Sprintf("certificate %s is self-signed and not among the trusted certificates",
			CertificateName(leaf))
	}
	top := leaf
	for _, cert := range sent[1:] {
		if string(cert.RawSubject) == string(top.RawIssuer) &&
			string(cert.RawIssuer) != string(cert.RawSubject) {
			top = cert
		}
	}
	return fmt.Sprintf("certificate %s is signed by an authority that is not trusted: %s",
		CertificateName(leaf), NameOf(top.Issuer))
}

// DateProblem reports that cert is outside its dates. Its text begins with a verb, for the caller to put the
// name in front.
func DateProblem(cert *x509.Certificate, now time.Time) *Problem {
	switch {
	case now.After(cert.NotAfter):
		return because(Expired, "expired %s, %s ago", stamp(cert.NotAfter), span(now.Sub(cert.NotAfter)))
	case now.Before(cert.NotBefore):
		return because(NotYetValid, "is not valid before %s, in %s", stamp(cert.NotBefore),
			span(cert.NotBefore.Sub(now)))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span writes a duration in the largest unit of which there are at least two, rounded down. The reader wants
// to know whether a clock is wrong or somebody forgot to renew.
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

// CertificateName returns the Common Name of cert, quoted, else its first alternative name, else its whole
// subject.
func CertificateName(cert *x509.Certificate) string {
	if cert.Subject.CommonName == "" && len(cert.DNSNames) > 0 {
		return safetext.Quote(cert.DNSNames[0])
	}
	return NameOf(cert.Subject)
}

// NameOf returns the Common Name, quoted, else the first few attributes. Writing them all takes quadratic
// time.
func NameOf(name pkix.Name) string {
	if name.CommonName != "" {
		return safetext.Quote(name.CommonName)
	}
	if len(name.Names) > maxAttributes {
		return safetext.Quote(pkix.Name{ExtraNames: name.Names[:maxAttributes]}.String() + ",…")
	}
	return safetext.Quote(name.String())
}

// idText writes the first arcs of an object identifier, which can have thousands.
func idText(id asn1.ObjectIdentifier) string {
	if len(id) > maxArcs {
		return id[:maxArcs].String() + ".…"
	}
	return id.String()
}
