package tlstest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
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
		Number: big.NewInt(now.UnixNano()), ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
		ExtraExtensions: list.Extra,
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
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{
				SerialNumber: cert.SerialNumber, RevocationTime: now.Add(-backdated), ReasonCode: list.Reason,
				ExtraExtensions: list.EntryExtra,
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

// LongCRL returns the PEM of a list with n entries, in no order.
func (ca *CA) LongCRL(n int) []byte {
	var entries []byte
	for i := range n {
		serial := sha256.Sum256([]byte(fmt.Sprint(i)))
		serial[0] = serial[0]&0x3f | 0x40
		entry := append([]byte{0x02, 16}, serial[:16]...)
		entry = append(entry, "\x17\x0d261101000000Z"...)
		entries = append(append(entries, 0x30, byte(len(entry))), entry...)
	}
	der := ca.Resign(ca.CRL(CRL{}), crypto.SHA256, func(elements []asn1.RawValue) []asn1.RawValue {
		// version, algorithm, issuer, thisUpdate, nextUpdate
		return slices.Insert(elements, 5, asn1.RawValue{
			Tag: asn1.TagSequence, IsCompound: true,
			Bytes: entries,
		})
	})
	return CRLPEM(der)
}
