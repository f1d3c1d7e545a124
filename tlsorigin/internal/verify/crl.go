package tlsorigin

import (
	"cmp"
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

// revocationList is one CRL.
type revocationList struct {
	issuer                 string // for messages
	rawIssuer              string // DER
	key                    string // identifier of the issuer's key; empty: the list has none
	thisUpdate, nextUpdate time.Time
	revoked                serials
	signature              listSignature

	// signedBy remembers, by the SHA-256 of a certificate, whether its key signed this list. Only authorities
	// of chains that an anchor vouches for are asked about.
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
		list, err := parseList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d %w", i+1, err)
		}
		r.byIssuer[list.rawIssuer] = append(r.byIssuer[list.rawIssuer], list)
	}
	for _, lists := range r.byIssuer {
		slices.SortStableFunc(lists, func(a, b *revocationList) int {
			return cmp.Or(b.thisUpdate.Compare(a.thisUpdate), b.nextUpdate.Compare(a.nextUpdate))
		})
	}
	return r, nil
}

// unfitList says why a list must not be used, "" if it may.
func unfitList(list *x509.RevocationList) string {
	switch {
	case list.SignatureAlgorithm == x509.UnknownSignatureAlgorithm:
		return "it is signed with an algorithm that is not known here"
	case brokenHash(list.SignatureAlgorithm):
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
	return ""
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
	good := maySignLists(issuer) && l.signature.by(issuer)
	l.signedBy.Store(sum, good)
	return good
}

// maySignLists is what x509.RevocationList.CheckSignatureFrom asks of an issuer besides its key.
func maySignLists(issuer *x509.Certificate) bool {
	authority := issuer.IsCA || !issuer.BasicConstraintsValid && issuer.Version < 3
	return authority && (issuer.KeyUsage == 0 || issuer.KeyUsage&x509.KeyUsageCRLSign != 0)
}

// begun reports whether the list counts already.
func (l *revocationList) begun(now time.Time) bool { return !now.Before(l.thisUpdate) }

// newest returns the one of lists, which have one issuer and are sorted, that says whether there is a list in
// force: the newest that has begun, else the newest.
func newest(lists []*revocationList, now time.Time) *revocationList {
	if i := slices.IndexFunc(lists, func(l *revocationList) bool { return l.begun(now) }); i >= 0 {
		return lists[i]
	}
	return lists[0]
}

// newestOfEach returns the newest list of each key of each issuer.
func (r *revocations) newestOfEach(now time.Time) (found []*revocationList) {
	if r == nil {
		return nil
	}
	for _, lists := range r.byIssuer {
		byKey := map[string][]*revocationList{}
		for _, l := range lists {
			byKey[l.key] = append(byKey[l.key], l)
		}
		for _, lists := range byKey {
			found = append(found, newest(lists, now))
		}
	}
	return found
}

// nextUpdate returns when the first of the newest lists runs out; zero for no lists.
func (r *revocations) nextUpdate() time.Time {
	var first time.Time
	for _, l := range r.newestOfEach(time.Now()) {
		if first.IsZero() || l.nextUpdate.Before(first) {
			first = l.nextUpdate
		}
	}
	return first
}

// warnings are about issuers whose newest list is not in force.
func (r *revocations) warnings(now time.Time) []string {
	var texts []string
	for _, l := range r.newestOfEach(now) {
		if text := l.validity(now); text != "" {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return texts
}
