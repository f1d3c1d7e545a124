package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"time"
)

// crypto/x509 keeps some 500 bytes for each entry of a revocation list and all of its DER. Lists can have a
// million entries, so parseList gives crypto/x509 the list without its entries, and reads these itself:
// twenty-odd bytes each.

const (
	tagInteger, tagSequence        = 0x02, 0x30
	tagUTCTime, tagGeneralizedTime = 0x17, 0x18
)

var errMalformed = errors.New("malformed list of entries")

// element is one DER value: its tag, what is in it, and all of it.
type element struct {
	tag            byte
	content, whole []byte
}

// nextElement splits the first DER element off data.
func nextElement(data []byte) (e element, rest []byte, err error) {
	if len(data) < 2 {
		return e, nil, errMalformed
	}
	header, size := 2, int(data[1])
	if size >= 0x80 {
		n := size - 0x80
		if n == 0 || n > 4 || len(data) < 2+n {
			return e, nil, errMalformed
		}
		header, size = 2+n, 0
		for _, octet := range data[2:header] {
			size = size<<8 | int(octet)
		}
	}
	if size > len(data)-header {
		return e, nil, errMalformed
	}
	return element{data[0], data[header : header+size], data[:header+size]}, data[header+size:], nil
}

// elements splits data into all its elements, which are few.
func elements(data []byte) (all []element, err error) {
	for len(data) > 0 {
		var e element
		if e, data, err = nextElement(data); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func sequence(parts ...[]byte) []byte {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	head := binary.BigEndian.AppendUint32([]byte{tagSequence, 0x84}, uint32(size))
	switch {
	case size < 0x80:
		head = []byte{tagSequence, byte(size)}
	case size < 1<<8:
		head = []byte{tagSequence, 0x81, byte(size)}
	case size < 1<<16:
		head = []byte{tagSequence, 0x82, byte(size >> 8), byte(size)}
	case size < 1<<24:
		head = []byte{tagSequence, 0x83, byte(size >> 16), byte(size >> 8), byte(size)}
	}
	return append(head, bytes.Join(parts, nil)...)
}

// parseList reads one CRL in DER. Whatever could make it mean less than it seems to is an error.
func parseList(der []byte) (*revocationList, error) {
	list, rest, err := nextElement(der)
	if err != nil || len(rest) > 0 || list.tag != tagSequence {
		return nil, errors.New("is no readable CRL")
	}
	outer, err := elements(list.content)
	if err != nil || len(outer) != 3 {
		return nil, errors.New("is no readable CRL")
	}
	inner, err := elements(outer[0].content)
	if err != nil {
		return nil, errors.New("is no readable CRL")
	}
	var entries []byte
	var others [][]byte
	dated := false // the entries are the sequence behind the dates
	for _, e := range inner {
		if dated && e.tag == tagSequence {
			if entries != nil {
				return nil, errors.New("is no readable CRL")
			}
			entries = e.content
			continue
		}
		dated = dated || e.tag == tagUTCTime || e.tag == tagGeneralizedTime
		others = append(others, e.whole)
	}
	parsed, err := x509.ParseRevocationList(sequence(sequence(others...), outer[1].whole, outer[2].whole))
	if err != nil {
		return nil, fmt.Errorf("is no readable CRL: %w", err)
	}
	if err := unfitList(parsed); err != nil {
		return nil, fmt.Errorf("is the CRL of %s and cannot be used: %w", NameOf(parsed.Issuer), err)
	}
	l := &revocationList{
		issuer: NameOf(parsed.Issuer), rawIssuer: string(parsed.RawIssuer), key: string(parsed.AuthorityKeyId),
		thisUpdate: parsed.ThisUpdate, nextUpdate: parsed.NextUpdate,
		signature: newListSignature(parsed.SignatureAlgorithm, parsed.Signature, outer[0].whole),
	}
	if l.revoked, err = parseEntries(entries); err != nil {
		return nil, fmt.Errorf("is the CRL of %s and cannot be used: %w", l.issuer, err)
	}
	return l, nil
}

// parseEntries reads the entries of a list.
func parseEntries(data []byte) (serials, error) {
	s := serials{}
	reasons := map[string]uint8{} // by the DER of an entry's extensions: there are a dozen
	for len(data) > 0 {
		entry, rest, err := nextElement(data)
		if err != nil || entry.tag != tagSequence {
			return nil, errMalformed
		}
		data = rest
		serial, rest, err := nextElement(entry.content)
		if err != nil || serial.tag != tagInteger || len(serial.content) == 0 {
			return nil, errMalformed
		}
		at, rest, err := nextElement(rest)
		if err != nil {
			return nil, errMalformed
		}
		when, ok := entryTime(at)
		if !ok {
			return nil, errMalformed
		}
		reason, ok := reasons[string(rest)]
		if !ok {
			if reason, err = entryReason(rest); err != nil {
				return nil, err
			}
			reasons[string(rest)] = reason
		}
		number := serial.content
		for len(number) > 1 && number[0] == 0 && number[1] < 0x80 {
			number = number[1:] // not DER, but harmless
		}
		if err := s.add(number, when, reason); err != nil {
			return nil, err
		}
	}
	s.sort()
	return s, nil
}

// entryTime reads a UTCTime or GeneralizedTime, which end with seconds and Z.
func entryTime(e element) (time.Time, bool) {
	layout := "060102150405Z"
	switch e.tag {
	case tagUTCTime:
	case tagGeneralizedTime:
		layout = "20060102150405Z"
	default:
		return time.Time{}, false
	}
	at, err := time.Parse(layout, string(e.content))
	if err == nil && e.tag == tagUTCTime && at.Year() >= 2050 {
		at = at.AddDate(-100, 0, 0)
	}
	return at, err == nil
}

// entryReason reads the extensions of an entry and returns its reason code, zero without one.
func entryReason(der []byte) (reason uint8, err error) {
	if len(der) == 0 {
		return 0, nil
	}
	var extensions []pkix.Extension
	if rest, err := asn1.Unmarshal(der, &extensions); err != nil || len(rest) > 0 {
		return 0, errMalformed
	}
	for _, extension := range extensions {
		switch id := extension.Id.String(); {
		case id == oidReasonCode:
			var code asn1.Enumerated
			if rest, err := asn1.Unmarshal(extension.Value, &code); err != nil || len(rest) > 0 || code < 0 || code > 255 {
				return 0, errMalformed
			}
			reason = uint8(code)
		case id == oidCertificateIssuer:
			return 0, errors.New("it lists certificates of other issuers (indirect CRL)")
		case extension.Critical:
			return 0, fmt.Errorf("the critical extension %s of an entry is not understood", idText(extension.Id))
		}
	}
	return reason, nil
}

// maxSerial is what RFC 5280 allows, and the zero octet in front of some.
const maxSerial = 21

// serials are the entries of a list, by the length of their serial number. Each table has rows of one length:
// serial number, seconds since 1970, reason.
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

// sort orders the tables and gives back what they have too much.
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
	serial, err := asn1.Marshal(cert.SerialNumber)
	if err != nil {
		return revocation{}, false
	}
	e, _, err := nextElement(serial)
	table := s[len(e.content)]
	if err != nil || table == nil {
		return revocation{}, false
	}
	i := sort.Search(table.Len(), func(i int) bool { return bytes.Compare(table.serial(i), e.content) >= 0 })
	if i == table.Len() || !bytes.Equal(table.serial(i), e.content) {
		return revocation{}, false
	}
	row := table.row(i)[len(e.content):]
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

// listSignature is what is needed to check the signature of a list: its hash, or the list where that will not
// do.
type listSignature struct {
	algorithm x509.SignatureAlgorithm
	signature []byte
	hash      crypto.Hash // zero: none, and signed is the list
	signed    []byte
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
