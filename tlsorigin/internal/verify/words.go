package verify

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"

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
			CertificateName(invalid.Cert)).as(CaseConstraint)
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
