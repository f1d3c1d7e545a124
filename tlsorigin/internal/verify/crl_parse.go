package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	encodingasn1 "encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// crypto/x509 keeps some 500 bytes for each entry of a revocation list, and all of its DER. Lists can have a
// million entries. So parseList gives crypto/x509 the list without its entries and reads these itself, into
// some 25 bytes each.

var (
	errMalformed  = errors.New("malformed list of entries")
	errUnreadable = errors.New("is no readable CRL")
)

// parseList reads one CRL in DER. A list that could mean less than it seems to is an error.
func parseList(der []byte) (*revocationList, error) {
	var list, signed, algorithm, signature cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&list, asn1.SEQUENCE) || !input.Empty() ||
		!list.ReadASN1Element(&signed, asn1.SEQUENCE) || !list.ReadAnyASN1Element(&algorithm, nil) ||
		!list.ReadAnyASN1Element(&signature, nil) || !list.Empty() {
		return nil, errUnreadable
	}
	entries, others, err := splitEntries(signed)
	if err != nil {
		return nil, err
	}
	var short cryptobyte.Builder
	short.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(others) })
		b.AddBytes(algorithm)
		b.AddBytes(signature)
	})
	withoutEntries, err := short.Bytes()
	if err != nil {
		return nil, fmt.Errorf("is no readable CRL: %w", err)
	}
	parsed, err := x509.ParseRevocationList(withoutEntries)
	if err != nil {
		return nil, fmt.Errorf("is no readable CRL: %w", err)
	}
	if err := unfitList(parsed); err != nil {
		return nil, fmt.Errorf("is the CRL of %s and cannot be used: %w", NameOf(parsed.Issuer), err)
	}
	l := &revocationList{
		issuer: NameOf(parsed.Issuer), rawIssuer: string(parsed.RawIssuer),
		key:        string(parsed.AuthorityKeyId),
		thisUpdate: parsed.ThisUpdate, nextUpdate: parsed.NextUpdate,
		signature: newListSignature(parsed.SignatureAlgorithm, parsed.Signature, signed),
	}
	if l.revoked, err = parseEntries(entries); err != nil {
		return nil, fmt.Errorf("is the CRL of %s and cannot be used: %w", l.issuer, err)
	}
	return l, nil
}

// version2 is what crypto/x509 wants to read: the version of a list, in DER. A list of version 1 has none, as
// "openssl ca -gencrl" makes it by default. Otherwise the two are alike, and signatures cover the list as it is.
const version2 = "\x02\x01\x01"

// splitEntries takes apart the signed part of a list. The entries are the sequence after the dates.
func splitEntries(signed cryptobyte.String) (entries, others cryptobyte.String, err error) {
	if !signed.ReadASN1(&signed, asn1.SEQUENCE) {
		return nil, nil, errUnreadable
	}
	if !signed.PeekASN1Tag(asn1.INTEGER) {
		others = append(others, version2...)
	}
	for dated := false; !signed.Empty(); {
		var element cryptobyte.String
		var tag asn1.Tag
		if !signed.ReadAnyASN1Element(&element, &tag) {
			return nil, nil, errUnreadable
		}
		switch {
		case !dated || tag != asn1.SEQUENCE:
			dated = dated || tag == asn1.UTCTime || tag == asn1.GeneralizedTime
			others = append(others, element...)
		case entries != nil || !element.ReadASN1(&entries, asn1.SEQUENCE):
			return nil, nil, errUnreadable
		}
	}
	return entries, others, nil
}

// parseEntries reads the entries of a list.
func parseEntries(data cryptobyte.String) (serials, error) {
	s := serials{}
	reasons := map[string]uint8{} // by the DER of an entry's extensions: there are a dozen
	for !data.Empty() {
		var entry, serial cryptobyte.String
		if !data.ReadASN1(&entry, asn1.SEQUENCE) || !entry.ReadASN1(&serial, asn1.INTEGER) ||
			len(serial) == 0 {
			return nil, errMalformed
		}
		when, ok := readTime(&entry)
		if !ok {
			return nil, errMalformed
		}
		reason, ok := reasons[string(entry)]
		if !ok {
			var err error
			if reason, err = entryReason(entry); err != nil {
				return nil, err
			}
			reasons[string(entry)] = reason
		}
		for len(serial) > 1 && serial[0] == 0 && serial[1] < 0x80 {
			serial = serial[1:] // not DER, but harmless
		}
		if err := s.add(serial, when, reason); err != nil {
			return nil, err
		}
	}
	s.sort()
	return s, nil
}

// readTime reads a UTCTime or a GeneralizedTime, with seconds and Z at the end. The functions of cryptobyte
// allocate for each entry, and a list can have a million.
func readTime(s *cryptobyte.String) (at time.Time, ok bool) {
	var value cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&value, &tag) || tag != asn1.UTCTime && tag != asn1.GeneralizedTime {
		return at, false
	}
	layout := "20060102150405Z"
	if tag == asn1.UTCTime {
		layout = "060102150405Z"
	}
	at, err := time.Parse(layout, string(value))
	if err == nil && tag == asn1.UTCTime && at.Year() >= 2050 {
		at = at.AddDate(-100, 0, 0)
	}
	return at, err == nil
}

// entryReason reads the extensions of an entry and returns its reason code, zero without one.
func entryReason(der cryptobyte.String) (reason uint8, err error) {
	if der.Empty() {
		return 0, nil
	}
	var extensions []pkix.Extension
	if rest, err := encodingasn1.Unmarshal(der, &extensions); err != nil || len(rest) > 0 {
		return 0, errMalformed
	}
	for _, extension := range extensions {
		switch id := extension.Id.String(); {
		case id == oidReasonCode:
			var code int
			if value := cryptobyte.String(extension.Value); !value.ReadASN1Enum(&code) || !value.Empty() ||
				code < 0 || code > 255 {
				return 0, errMalformed
			}
			reason = uint8(code)
		case id == oidCertificateIssuer:
			return 0, errors.New("it lists certificates of other issuers (indirect CRL)")
		case extension.Critical:
			return 0, fmt.Errorf("the critical extension %s of an entry is not understood",
				idText(extension.Id))
		}
	}
	return reason, nil
}

// maxSerial is the longest serial number in bytes: what RFC 5280 allows, and a zero octet in front.
const maxSerial = 21

// serials holds the entries of a list, by the length of their serial number. Each table has rows of one
// length: serial number, seconds since 1970, reason.
type serials map[int]*serialTable

const rowTail = 8 + 1

type serialTable struct {
	rows  []byte
	width int
	swap  [maxSerial + rowTail]byte
}

// add notes an entry.
func (s serials) add(serial []byte, at time.Time, reason uint8) error {
	if len(serial) > maxSerial {
		return fmt.Errorf("an entry has a serial number of %d bytes", len(serial))
	}
	table := s[len(serial)]
	if table == nil {
		table = &serialTable{width: len(serial) + rowTail}
		s[len(serial)] = table
	}
	table.rows = append(table.rows, serial...)
	table.rows = binary.BigEndian.AppendUint64(table.rows, uint64(at.Unix()))
	table.rows = append(table.rows, reason)
	return nil
}

// sort sorts the tables and frees their unused memory.
func (s serials) sort() {
	for _, table := range s {
		if !sort.IsSorted(table) {
			sort.Sort(table)
		}
		table.rows = bytes.Clone(table.rows)
	}
}

// find returns the entry of cert.
func (s serials) find(cert *x509.Certificate) (revocation, bool) {
	if cert.SerialNumber == nil {
		return revocation{}, false
	}
	var b cryptobyte.Builder
	b.AddASN1BigInt(cert.SerialNumber)
	element := cryptobyte.String(b.BytesOrPanic())
	var serial cryptobyte.String
	if !element.ReadASN1(&serial, asn1.INTEGER) {
		return revocation{}, false
	}
	table := s[len(serial)]
	if table == nil {
		return revocation{}, false
	}
	i := sort.Search(table.Len(), func(i int) bool { return bytes.Compare(table.serial(i), serial) >= 0 })
	if i == table.Len() || !bytes.Equal(table.serial(i), serial) {
		return revocation{}, false
	}
	row := table.row(i)[len(serial):]
	return revocation{time.Unix(int64(binary.BigEndian.Uint64(row)), 0), int(row[8])}, true
}

func (t *serialTable) Len() int            { return len(t.rows) / t.width }
func (t *serialTable) row(i int) []byte    { return t.rows[i*t.width : (i+1)*t.width] }
func (t *serialTable) serial(i int) []byte { return t.row(i)[:t.width-rowTail] }
func (t *serialTable) Less(i, j int) bool  { return bytes.Compare(t.serial(i), t.serial(j)) < 0 }
func (t *serialTable) Swap(i, j int) {
	copy(t.swap[:], t.row(i))
	copy(t.row(i), t.row(j))
	copy(t.row(j), t.swap[:t.width])
}

// listSignature is what a check of the signature of a list needs: its hash, or all of the list.
type listSignature struct {
	algorithm x509.SignatureAlgorithm
	signature []byte
	hash      crypto.Hash // zero means that signed is the list itself
	signed    []byte      // the hash of the list
}

func newListSignature(algorithm x509.SignatureAlgorithm, signature, list []byte) listSignature {
	s := listSignature{algorithm: algorithm, signature: bytes.Clone(signature)}
	switch algorithm {
	case x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		s.hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		s.hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		s.hash = crypto.SHA512
	default:
		s.signed = bytes.Clone(list)
		return s
	}
	h := s.hash.New()
	h.Write(list)
	s.signed = h.Sum(nil)
	return s
}

// by reports whether issuer's key made the signature.
func (s listSignature) by(issuer *x509.Certificate) bool {
	switch s.algorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
		key, ok := issuer.PublicKey.(*rsa.PublicKey)
		return ok && rsa.VerifyPKCS1v15(key, s.hash, s.signed, s.signature) == nil
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		key, ok := issuer.PublicKey.(*rsa.PublicKey)
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return ok && rsa.VerifyPSS(key, s.hash, s.signed, s.signature, options) == nil
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		key, ok := issuer.PublicKey.(*ecdsa.PublicKey)
		return ok && ecdsa.VerifyASN1(key, s.signed, s.signature)
	}
	return issuer.CheckSignature(s.algorithm, s.signed, s.signature) == nil
}
