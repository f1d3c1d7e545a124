package verify

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// CRLs are certificate revocation lists.
type CRLs struct {
	byIssuer map[string][]*revocationList // by the DER of the issuer's name, the newest first
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
	// of chains that lead to a root get in here.
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

// ParseCRLs reads PEM that holds at least one CRL and nothing else. A CRL that could mean less than it seems
// to is an error here, so that it is no surprise in a handshake.
func ParseCRLs(data []byte) (*CRLs, error) {
	if len(data) > 0 && data[0] == 0x30 {
		return nil, errors.New("holds no PEM; it looks like DER, convert it with: openssl crl -inform der")
	}
	blocks, err := parseBlocks(data)
	if err != nil {
		return nil, err
	}
	r := &CRLs{byIssuer: map[string][]*revocationList{}}
	for i, block := range blocks {
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("block %d is of type %s, want only X509 CRL", i+1,
				safetext.Quote(block.Type))
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

// unfitList says why a list must not be used. Nil means that it may.
func unfitList(list *x509.RevocationList) error {
	switch {
	case list.SignatureAlgorithm == x509.UnknownSignatureAlgorithm:
		return errors.New("it is signed with an algorithm that is not known here")
	case brokenHash(list.SignatureAlgorithm):
		return fmt.Errorf("it is signed with %v, which can be forged", list.SignatureAlgorithm)
	}
	if list.NextUpdate.IsZero() {
		return errors.New("it does not say when the next one is due, so nobody could tell when it is stale")
	}
	for _, extension := range list.Extensions {
		switch id := extension.Id.String(); {
		case id == oidDeltaIndicator:
			return errors.New("it is a delta CRL, which only lists changes; a complete one is needed")
		case id == oidDistributionPoint:
			return errors.New("it covers only a part of the certificates or of the reasons, or other " +
				"issuers' certificates " +
				"(issuingDistributionPoint); a complete one is needed")
		case extension.Critical && id != oidCRLNumber && id != oidAuthorityKey:
			return fmt.Errorf("its critical extension %s is not understood", id)
		}
	}
	return nil
}

// validity returns an error if the list is outside its dates.
func (l *revocationList) validity(now time.Time) error {
	switch {
	case now.After(l.nextUpdate):
		return fmt.Errorf("the CRL of %s is out of date since %s, %s ago", l.issuer,
			stamp(l.nextUpdate), span(now.Sub(l.nextUpdate)))
	case now.Before(l.thisUpdate):
		return fmt.Errorf("the CRL of %s is not valid before %s, in %s (it is %s here)", l.issuer,
			stamp(l.thisUpdate), span(l.thisUpdate.Sub(now)), stamp(now))
	}
	return nil
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

// maySignLists reports whether issuer may sign CRLs, by the rules of x509.RevocationList.CheckSignatureFrom.
func maySignLists(issuer *x509.Certificate) bool {
	authority := issuer.IsCA || !issuer.BasicConstraintsValid && issuer.Version < 3
	return authority && (issuer.KeyUsage == 0 || issuer.KeyUsage&x509.KeyUsageCRLSign != 0)
}

// begun reports whether the list counts already.
func (l *revocationList) begun(now time.Time) bool { return !now.Before(l.thisUpdate) }

// newest returns the newest of lists that has begun, else the newest. The lists have one issuer and are
// sorted. What newest returns decides whether a list is in force.
func newest(lists []*revocationList, now time.Time) *revocationList {
	if i := slices.IndexFunc(lists, func(l *revocationList) bool { return l.begun(now) }); i >= 0 {
		return lists[i]
	}
	return lists[0]
}

// newestOfEach returns the newest list for each key of each issuer.
func (r *CRLs) newestOfEach(now time.Time) (found []*revocationList) {
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

// NextUpdate returns when the first of the newest lists runs out. Zero means that there is none; r may be
// nil.
func (r *CRLs) NextUpdate() time.Time {
	var first time.Time
	for _, l := range r.newestOfEach(time.Now()) {
		if first.IsZero() || l.nextUpdate.Before(first) {
			first = l.nextUpdate
		}
	}
	return first
}

// Warnings returns one sentence for each issuer whose newest list is not in force.
func (r *CRLs) Warnings(now time.Time) []string {
	var texts []string
	for _, l := range r.newestOfEach(now) {
		if err := l.validity(now); err != nil {
			texts = append(texts, err.Error()+"; put the issuer's current one there")
		}
	}
	slices.Sort(texts)
	return texts
}
