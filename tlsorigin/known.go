package tlsorigin

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// maxKnown bounds how many lists of certificates are remembered: one for each server behind the addresses, as a rule.
const maxKnown = 16

// knownPeers are lists of certificates that upstreams have presented and that were accepted under one trust, with the
// chains from there to its roots. It never changes: another takes its place.
//
// What is remembered is that the signatures of authorities are right, and nothing else. A signature that was right is
// right for ever, for the same bytes, but costs three milliseconds to verify again where an authority has a P-521 key,
// several times the rest of a handshake. Who presents the certificates proves that he has the key, or resumes a session
// in which he did, and name, dates, revocation and pins are looked at each time. See checkVerified for how, and
// docs/decisions.md for why that is as good as starting over.
type knownPeers struct {
	// roots has the leaves, too, beside those of the trust. So crypto/tls accepts one without its chain, after it has
	// looked at its name, its dates and its usage; its word is not taken for the chain.
	roots  *x509.CertPool
	chains map[[sha256.Size]byte][][]*x509.Certificate // by listSum
}

// listSum identifies all that a peer sent, byte for byte and in its order.
func listSum(sent []*x509.Certificate) (sum [sha256.Size]byte) {
	h := sha256.New()
	var size [8]byte
	for _, cert := range sent {
		binary.BigEndian.PutUint64(size[:], uint64(len(cert.Raw)))
		h.Write(size[:])
		h.Write(cert.Raw)
	}
	h.Sum(sum[:0])
	return sum
}

// handshakeRoots is for tls.Config.RootCAs together with checkVerified.
func (t *trust) handshakeRoots() *x509.CertPool {
	if k := t.known.Load(); k != nil {
		return k.roots
	}
	return t.template.RootCAs
}

// remember notes chains of what was sent, which were accepted. Without configured roots nothing is: it takes those to tell
// a chain that crypto/tls has verified to its end.
func (t *trust) remember(sent []*x509.Certificate, chains [][]*x509.Certificate) {
	leaf := sent[0]
	if t.roots == nil || leaf.Version < 3 || leaf.IsCA || slices.ContainsFunc(t.roots, leaf.Equal) {
		return // an authority among the roots could vouch for others; a root is known anyway
	}
	for {
		before, sum := t.known.Load(), listSum(sent)
		next := &knownPeers{roots: t.template.RootCAs.Clone(), chains: map[[sha256.Size]byte][][]*x509.Certificate{}}
		if before != nil && len(before.chains) < maxKnown {
			if _, ok := before.chains[sum]; ok {
				return
			}
			maps.Copy(next.chains, before.chains)
			next.roots = before.roots.Clone()
		}
		next.chains[sum] = chains
		next.roots.AddCert(leaf)
		if t.known.CompareAndSwap(before, next) {
			return
		}
	}
}

// knownChains returns those of the remembered chains of what was sent whose certificates are all within their dates.
func (t *trust) knownChains(sent []*x509.Certificate, now time.Time) [][]*x509.Certificate {
	k := t.known.Load()
	if k == nil {
		return nil
	}
	return inForce(k.chains[listSum(sent)], now)
}

// inForce returns those of chains whose certificates are all within their dates.
func inForce(chains [][]*x509.Certificate, now time.Time) (valid [][]*x509.Certificate) {
	for _, chain := range chains {
		if !slices.ContainsFunc(chain, func(cert *x509.Certificate) bool { return now.Before(cert.NotBefore) || now.After(cert.NotAfter) }) {
			valid = append(valid, chain)
		}
	}
	return valid
}

// chainsToRoots returns the chains from what was sent to the roots of t, the name apart: what crypto/tls has found if it
// went all the way, else what is remembered, else what a verification finds now.
func (t *trust) chainsToRoots(cs *tls.ConnectionState, now time.Time) ([][]*x509.Certificate, error) {
	if !t.verifyCA { // where crypto/tls is not asked, and not believed
		if t.roots == nil || len(cs.VerifiedChains) == 0 {
			// handshakeRoots were the system's; or nothing was verified, the name included. A session that is resumed brings
			// all the chains of its handshake.
			return inForce(cs.VerifiedChains, now), nil
		}
		var whole [][]*x509.Certificate
		for _, chain := range cs.VerifiedChains {
			if slices.ContainsFunc(t.roots, chain[len(chain)-1].Equal) {
				whole = append(whole, chain)
			}
		}
		if whole = inForce(whole, now); whole != nil {
			return whole, nil
		}
	}
	if known := t.knownChains(cs.PeerCertificates, now); known != nil {
		return known, nil
	}
	return t.chainsWithoutName(cs.PeerCertificates, now)
}
