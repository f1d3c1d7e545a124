package tlsorigin

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// revocations are the configured CRLs, by the DER of their issuer's name.
type revocations struct {
	byIssuer map[string][]*revocationList // newest first
}

// revocationList is one CRL, indexed by serial number.
type revocationList struct {
	issuer                 string // for messages
	thisUpdate, nextUpdate time.Time
	revoked                map[string]revocation

	signature *x509.RevocationList // what is needed to check it, and nothing else: lists can be long

	// signedBy remembers, by the SHA-256 of a certificate, whether its key signed this list: hashing a long list again
	// for every connection would be work for nothing. Only authorities of verified chains are asked about.
	signedBy sync.Map
}

// revocation is one entry of a CRL.
type revocation struct {
	at     time.Time
	reason int // RFC 5280, 5.3.1; zero also stands for none given
}

// Extensions of a CRL and of its entries that are known, RFC 5280, 5.2 and 5.3.
const (
	oidCRLNumber         = "2.5.29.20"
	oidReasonCode        = "2.5.29.21"
	oidDeltaIndicator    = "2.5.29.27"
	oidDistributionPoint = "2.5.29.28"
	oidCertificateIssuer = "2.5.29.29"
	oidAuthorityKey      = "2.5.29.35"
)

// parseRevocations reads PEM with nothing but CRLs in it, at least one. Whatever could make a list mean less than it
// seems to is an error here, not a surprise in a handshake.
func parseRevocations(data []byte) (*revocations, error) {
	if len(data) > 0 && data[0] == 0x30 {
		return nil, errors.New("holds no PEM; it looks like DER, convert it with: openssl crl -inform der")
	}
	blocks, err := parseBlocks(data)
	if err != nil {
		return nil, err
	}
	r := &revocations{byIssuer: map[string][]*revocationList{}}
	for i, block := range blocks {
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("block %d is of type %s, want only X509 CRL", i+1, quote(block.Type))
		}
		parsed, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d is no readable CRL: %w", i+1, err)
		}
		if problem := unfitList(parsed); problem != "" {
			return nil, fmt.Errorf("block %d, the CRL of %s, cannot be used: %s", i+1, nameOf(parsed.Issuer), problem)
		}
		key := string(parsed.RawIssuer)
		r.byIssuer[key] = append(r.byIssuer[key], indexed(parsed))
	}
	for _, lists := range r.byIssuer {
		slices.SortStableFunc(lists, func(a, b *revocationList) int { return b.thisUpdate.Compare(a.thisUpdate) })
	}
	return r, nil
}

// unfitList says why a list must not be used, "" if it may.
func unfitList(list *x509.RevocationList) string {
	switch list.SignatureAlgorithm {
	case x509.UnknownSignatureAlgorithm:
		return "it is signed with an algorithm that is not known here"
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return "it is signed with " + list.SignatureAlgorithm.String() + ", which can be forged"
	}
	if list.NextUpdate.IsZero() {
		return "it does not say when the next one is due, so nobody could tell when it is stale"
	}
	for _, extension := range list.Extensions {
		switch id := extension.Id.String(); {
		case id == oidDeltaIndicator:
			return "it is a delta CRL, which only lists changes; a complete one is needed"
		case id == oidDistributionPoint:
			return "it covers only a part of the certificates or of the reasons, or other issuers' certificates (issuingDistributionPoint); a complete one is needed"
		case extension.Critical && id != oidCRLNumber && id != oidAuthorityKey:
			return fmt.Sprintf("its critical extension %s is not understood", id)
		}
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, extension := range entry.Extensions {
			switch id := extension.Id.String(); {
			case id == oidCertificateIssuer:
				return "it lists certificates of other issuers (indirect CRL)"
			case extension.Critical && id != oidReasonCode:
				return fmt.Sprintf("the critical extension %s of an entry is not understood", id)
			}
		}
	}
	return ""
}

func indexed(parsed *x509.RevocationList) *revocationList {
	list := &revocationList{
		issuer: nameOf(parsed.Issuer), thisUpdate: parsed.ThisUpdate, nextUpdate: parsed.NextUpdate,
		revoked: make(map[string]revocation, len(parsed.RevokedCertificateEntries)),
		signature: &x509.RevocationList{
			RawTBSRevocationList: bytes.Clone(parsed.RawTBSRevocationList),
			Signature:            parsed.Signature, SignatureAlgorithm: parsed.SignatureAlgorithm,
		},
	}
	for _, entry := range parsed.RevokedCertificateEntries {
		list.revoked[entry.SerialNumber.Text(16)] = revocation{entry.RevocationTime, entry.ReasonCode}
	}
	return list
}

// validity says whether the list is outside its dates; "" if it is not.
func (l *revocationList) validity(now time.Time) string {
	switch {
	case now.After(l.nextUpdate):
		return fmt.Sprintf("the CRL of %s is out of date since %s (%s): fetch a fresh one", l.issuer, stamp(l.nextUpdate), span(now.Sub(l.nextUpdate)))
	case now.Before(l.thisUpdate):
		return fmt.Sprintf("the CRL of %s is not valid before %s, in %s: check the clocks", l.issuer, stamp(l.thisUpdate), span(l.thisUpdate.Sub(now)))
	}
	return ""
}

// signed reports whether issuer's key signed the list and issuer may sign CRLs.
func (l *revocationList) signed(issuer *x509.Certificate) bool {
	sum := sha256.Sum256(issuer.Raw)
	if known, ok := l.signedBy.Load(sum); ok {
		return known == true
	}
	good := l.signature.CheckSignatureFrom(issuer) == nil
	l.signedBy.Store(sum, good)
	return good
}

// nextUpdate returns when the first issuer's list runs out of which there is no newer one; zero for no lists.
func (r *revocations) nextUpdate() time.Time {
	var first time.Time
	if r == nil {
		return first
	}
	for _, lists := range r.byIssuer {
		last := slices.MaxFunc(lists, func(a, b *revocationList) int { return a.nextUpdate.Compare(b.nextUpdate) }).nextUpdate
		if first.IsZero() || last.Before(first) {
			first = last
		}
	}
	return first
}

// warnings are about lists that are of no use at present.
func (r *revocations) warnings(now time.Time) []string {
	var texts []string
	for _, lists := range r.byIssuer {
		if !slices.ContainsFunc(lists, func(l *revocationList) bool { return l.validity(now) == "" }) {
			texts = append(texts, lists[0].validity(now))
		}
	}
	slices.Sort(texts)
	return texts
}
