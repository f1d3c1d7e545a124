package corpus

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// listedCase is a case with CRLs.
func listedCase(name string, pair *tlstest.Pair, roots []*tlstest.CA, crls ...[]byte) certCase {
	return certCase{name: name, pair: pair, roots: certs(roots...), crls: crls, both: true}
}

func one(ca *tlstest.CA) []*tlstest.CA { return []*tlstest.CA{ca} }

func revoked(reason int, list ...*x509.Certificate) tlstest.CRL {
	return tlstest.CRL{Revoked: list, Reason: reason}
}

func revocationCases() []certCase {
	root := tlstest.NewCA("Root", tlstest.P256)
	between := root.Intermediate("Intermediate", tlstest.P256)
	pair, direct := between.Issue(leaf()), root.Issue(leaf())
	other := between.Issue(leaf()).Leaf
	empty, emptyBetween := root.CRL(tlstest.CRL{}), between.CRL(tlstest.CRL{})
	now := time.Now()
	stale := tlstest.CRL{NextUpdate: now.Add(-day)}
	early := tlstest.CRL{ThisUpdate: now.Add(day), NextUpdate: now.Add(2 * day)}
	staleRevoked := revoked(1, direct.Leaf)
	staleRevoked.NextUpdate = now.Add(-day)
	olderRevoked := revoked(6, direct.Leaf)
	olderRevoked.ThisUpdate = now.Add(-2 * day)
	newRoot := tlstest.NewCA("New Root", tlstest.P256)
	bridge := root.CrossSign(newRoot, nil)
	self := tlstest.SelfSigned(leaf())
	return []certCase{
		listedCase("CRL: nothing revoked", direct, one(root), empty),
		listedCase("CRL: of version 1, nothing revoked", direct, one(root), version1(root, empty)),
		listedCase("CRL: of version 1, revoked", direct, one(root), version1(root, root.CRL(revoked(0, direct.Leaf)))),
		listedCase("CRL: of version 1, expired", direct, one(root), version1(root, root.CRL(stale))),
		listedCase("CRL: nothing revoked, intermediate", pair, one(root), empty, emptyBetween),
		listedCase("CRL: another certificate revoked", pair, one(root), empty, between.CRL(revoked(1, other))),
		listedCase("CRL: revoked", direct, one(root), root.CRL(revoked(1, direct.Leaf))),
		listedCase("CRL: revoked without a reason", direct, one(root), root.CRL(revoked(0, direct.Leaf))),
		listedCase("CRL: revoked by the intermediate", pair, one(root), empty, between.CRL(revoked(4, pair.Leaf))),
		listedCase("CRL: on hold", direct, one(root), root.CRL(revoked(6, direct.Leaf))),
		listedCase("CRL: intermediate revoked", pair, one(root), root.CRL(revoked(2, between.Cert)), emptyBetween),
		listedCase("CRL: root revoked by itself", direct, one(root), root.CRL(revoked(2, root.Cert))),
		listedCase("CRL: none of the intermediate", pair, one(root), empty),
		listedCase("CRL: none of the root", pair, one(root), emptyBetween),
		listedCase("CRL: only of a stranger", direct, one(root), newRoot.CRL(tlstest.CRL{})),
		listedCase("CRL: expired", direct, one(root), root.CRL(stale)),
		listedCase("CRL: expired, and lists the certificate", direct, one(root), root.CRL(staleRevoked)),
		listedCase("CRL: expired, of the root above an intermediate", pair, one(root), root.CRL(stale), emptyBetween),
		listedCase("CRL: not yet valid", direct, one(root), root.CRL(early)),
		listedCase("CRL: expired one beside a fresh one", direct, one(root), root.CRL(stale), empty),
		listedCase("CRL: two in force, the newer one revokes", direct, one(root), root.CRL(tlstest.CRL{ThisUpdate: now.Add(-2 * day)}), root.CRL(revoked(1, direct.Leaf))),
		listedCase("CRL: two in force, the newer one has lifted the hold", direct, one(root), root.CRL(olderRevoked), empty),
		listedCase("CRL: the newest has run out, an older one is in force", direct, one(root), root.CRL(tlstest.CRL{ThisUpdate: now.Add(-3 * day)}),
			root.CRL(tlstest.CRL{ThisUpdate: now.Add(-2 * day), NextUpdate: now.Add(-day)})),
		listedCase("CRL: the newest has run out and revokes, an older one is in force", direct, one(root), root.CRL(tlstest.CRL{ThisUpdate: now.Add(-4 * day)}),
			root.CRL(staleRevoked)),
		listedCase("CRL: cross-signed, the bridge is revoked, both roots known", bridge.Issue(leaf()), []*tlstest.CA{root, newRoot},
			root.CRL(revoked(5, bridge.Cert)), newRoot.CRL(tlstest.CRL{})),
		listedCase("CRL: cross-signed, the bridge is revoked, old root known", bridge.Issue(leaf()), one(root),
			root.CRL(revoked(5, bridge.Cert)), newRoot.CRL(tlstest.CRL{})),
		{name: "CRL: self-signed server as the only root", pair: self, roots: []*x509.Certificate{self.Leaf}, crls: [][]byte{empty}, both: true},
	}
}

// version1 takes the version and the extensions out of a list.
func version1(ca *tlstest.CA, der []byte) []byte {
	return ca.Resign(der, crypto.SHA256, func(elements []asn1.RawValue) []asn1.RawValue {
		return slices.DeleteFunc(elements, func(e asn1.RawValue) bool {
			return e.Class == asn1.ClassUniversal && e.Tag == asn1.TagInteger || e.Class == asn1.ClassContextSpecific
		})
	})
}

// brokenListCases have CRLs that are not what they have to be.
func brokenListCases() []certCase {
	root := tlstest.NewCA("Root", tlstest.P256)
	direct := root.Issue(leaf())
	namesake := tlstest.NewCA("Root", tlstest.P256)
	mute := tlstest.NewAuthority(tlstest.Authority{Name: "Mute", Template: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }})
	extra := func(critical bool, value string, oid ...int) tlstest.CRL {
		return tlstest.CRL{Extra: []pkix.Extension{{Id: asn1.ObjectIdentifier(oid), Critical: critical, Value: []byte(value)}}}
	}
	entry := func(critical bool, value string, oid ...int) tlstest.CRL {
		list := revoked(0, root.Issue(leaf()).Leaf)
		list.EntryExtra = extra(critical, value, oid...).Extra
		return list
	}
	nobody := []int{1, 3, 6, 1, 4, 1, 99999, 1}
	weak := tlstest.NewCA("Root", tlstest.RSA2048)
	return []certCase{
		listedCase("CRL: of the right name, signed by another key", direct, one(root), namesake.CRL(tlstest.CRL{})),
		listedCase("CRL: one by the right key beside one by another", direct, one(root), namesake.CRL(revoked(1, direct.Leaf)), root.CRL(tlstest.CRL{})),
		listedCase("CRL: issuer without cRLSign", mute.Issue(leaf()), one(mute), mute.CRL(tlstest.CRL{})),
		listedCase("CRL: delta", direct, one(root), root.CRL(extra(true, "\x02\x01\x01", 2, 5, 29, 27))),
		listedCase("CRL: delta beside a complete one", direct, one(root), root.CRL(extra(true, "\x02\x01\x01", 2, 5, 29, 27)), root.CRL(tlstest.CRL{})),
		listedCase("CRL: indirect", direct, one(root), root.CRL(extra(true, "\x30\x03\x84\x01\xff", 2, 5, 29, 28))),
		listedCase("CRL: only for certificates of users", direct, one(root), root.CRL(extra(true, "\x30\x03\x81\x01\xff", 2, 5, 29, 28))),
		listedCase("CRL: unknown critical extension", direct, one(root), root.CRL(extra(true, "\x05\x00", nobody...))),
		listedCase("CRL: unknown extension that is not critical", direct, one(root), root.CRL(extra(false, "\x05\x00", nobody...))),
		listedCase("CRL: unknown critical extension of an entry", direct, one(root), root.CRL(entry(true, "\x05\x00", nobody...))),
		listedCase("CRL: without the date of the next one", direct, one(root), root.Resign(root.CRL(tlstest.CRL{}), crypto.SHA256, withoutNextUpdate)),
		listedCase("CRL: signed with SHA-1", weak.Issue(leaf()), one(weak), weak.Resign(weak.CRL(tlstest.CRL{}), crypto.SHA1, nil)),
	}
}

// withoutNextUpdate takes the second date out of a CRL.
func withoutNextUpdate(elements []asn1.RawValue) []asn1.RawValue {
	dates := 0
	return slices.DeleteFunc(elements, func(e asn1.RawValue) bool {
		if e.Class == asn1.ClassUniversal && (e.Tag == asn1.TagUTCTime || e.Tag == asn1.TagGeneralizedTime) {
			dates++
		}
		return dates == 2 && e.Class == asn1.ClassUniversal && e.Tag != asn1.TagSequence
	})
}
