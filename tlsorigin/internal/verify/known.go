package tlsorigin

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// maxKnown bounds how many lists of certificates are remembered: one for each server behind the addresses, as
// a rule.
const maxKnown = 16

// knownPeers are lists of certificates that were accepted under one trust, by listSum, with their chains to
// its roots. It never changes: another takes its place.
//
// What is remembered is that the signatures of authorities are right, and nothing else. A signature that was
// right stays right for the same bytes. Verifying it again costs three milliseconds where an authority has a
// P-521 key, several times the rest of a handshake. The peer proves each time that it has the key, or resumes
// a session in which it did. Name, dates, revocation and pins are looked at each time. See docs/decisions/README.md.
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

// remember notes chains of what was sent, which were accepted. At maxKnown it begins anew.
func (t *trust) remember(sent []*x509.Certificate, chains [][]*x509.Certificate) {
	sum := listSum(sent)
	for {
		before, next := t.known.Load(), knownPeers{}
		if before != nil {
			if was, ok := (*before)[sum]; ok && sameChains(was, chains) {
				return
			}
			if len(*before) < maxKnown {
				maps.Copy(next, *before)
			}
		}
		next[sum] = chains
		if t.known.CompareAndSwap(before, &next) {
			return
		}
	}
}

func sameChains(a, b [][]*x509.Certificate) bool { return slices.EqualFunc(a, b, slices.Equal) }

// knownChains returns those of the remembered chains of what was sent whose certificates are all within their
// dates.
func (t *trust) knownChains(sent []*x509.Certificate, now time.Time) (valid [][]*x509.Certificate) {
	known := t.known.Load()
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
