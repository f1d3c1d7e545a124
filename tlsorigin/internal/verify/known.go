package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// maxKnown bounds how many lists of certificates a Policy remembers. As a rule there is one for each
// upstream.
const maxKnown = 16

// knownPeers holds the chains of certificates that a Policy has accepted, by listSum of all that the peer
// sent. It never changes: a new one replaces it.
//
// A Policy remembers that the signatures of authorities are right, and nothing else. A signature that was
// right stays right for the same bytes. Verifying it again costs three milliseconds where an authority has a
// P-521 key, several times the rest of a handshake. The peer proves each time that it has its key, or resumes
// a session in which it did. Name, dates, revocation and pins are checked each time.
type knownPeers map[[sha256.Size]byte][][]*x509.Certificate

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

// remember notes the chains for which sent was accepted. When there are maxKnown, it forgets them all first.
func (p *Policy) remember(sent []*x509.Certificate, chains [][]*x509.Certificate) {
	sum := listSum(sent)
	for {
		before, next := p.known.Load(), knownPeers{}
		if before != nil {
			if was, ok := (*before)[sum]; ok && sameChains(was, chains) {
				return
			}
			if len(*before) < maxKnown {
				maps.Copy(next, *before)
			}
		}
		next[sum] = chains
		if p.known.CompareAndSwap(before, &next) {
			return
		}
	}
}

func sameChains(a, b [][]*x509.Certificate) bool { return slices.EqualFunc(a, b, slices.Equal) }

// KnownChains returns the remembered chains of sent in which every certificate is within its dates.
func (p *Policy) KnownChains(sent []*x509.Certificate, now time.Time) (valid [][]*x509.Certificate) {
	known := p.known.Load()
	if known == nil {
		return nil
	}
	for _, chain := range (*known)[listSum(sent)] {
		outdated := func(c *x509.Certificate) bool { return now.Before(c.NotBefore) || now.After(c.NotAfter) }
		if !slices.ContainsFunc(chain, outdated) {
			valid = append(valid, chain)
		}
	}
	return valid
}
