package tlstest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// CRL describes a certificate revocation list; the zero value of a field means its default.
type CRL struct {
	Revoked    []*x509.Certificate
	Reason     int              // of all entries, RFC 5280, 5.3.1
	EntryExtra []pkix.Extension // of all entries
	Extra      []pkix.Extension

	ThisUpdate time.Time // zero: an hour ago, or an hour before NextUpdate if that is earlier
	NextUpdate time.Time // zero: in a day
}

// CRL returns the DER of a list that ca has signed, whatever its key usage.
func (ca *CA) CRL(list CRL) []byte {
	now := time.Now()
	template := &x509.RevocationList{
		Number: big.NewInt(now.UnixNano()), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate, ExtraExtensions: list.Extra,
	}
	if template.NextUpdate.IsZero() {
		template.NextUpdate = now.Add(24 * time.Hour)
	}
	if template.ThisUpdate.IsZero() {
		template.ThisUpdate = now.Add(-backdated)
		if template.NextUpdate.Before(now) {
			template.ThisUpdate = template.NextUpdate.Add(-backdated)
		}
	}
	for _, cert := range list.Revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: cert.SerialNumber, RevocationTime: now.Add(-backdated), ReasonCode: list.Reason, ExtraExtensions: list.EntryExtra,
		})
	}
	issuer := *ca.Cert
	issuer.KeyUsage = x509.KeyUsageCRLSign
	der, err := x509.CreateRevocationList(rand.Reader, template, &issuer, ca.key)
	check("sign CRL", err)
	return der
}

// CRLPEM encodes lists as a CRL file holds them.
func CRLPEM(ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})...)
	}
	return out
}
