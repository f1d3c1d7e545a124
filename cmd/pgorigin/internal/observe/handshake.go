package observe

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// handshake is the latest in which the upstream has proved who it is. Certificates are described only when
// somebody asks: connections are not to pay for a page that nobody looks at.
type handshake struct {
	mu       sync.Mutex
	verified health.Verified // without Address and Chain; zero: there was none
	address  net.Addr
	chain    []*x509.Certificate
}

func (h *handshake) happened(a tlsorigin.Attempt) {
	verified := health.Verified{
		At: time.Now().UTC(), Upstream: a.Addr,
		Version: advice.VersionName(a.State.Version), Cipher: tls.CipherSuiteName(a.State.CipherSuite),
		Group:       tlsorigin.GroupName(a.State.CurveID),
		PostQuantum: tlsorigin.IsHybrid(a.State.CurveID), Resumed: a.State.DidResume,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.verified, h.address, h.chain = verified, a.Resolved, lastingChain(a.State.VerifiedChains)
}

// lastChain returns the verified chain, leaf first; nil: none.
func (h *handshake) lastChain() []*x509.Certificate {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chain
}

// Describe returns nil if there was no handshake.
func (h *handshake) Describe(now time.Time) *health.Verified {
	h.mu.Lock()
	verified, address, chain := h.verified, h.address, h.chain
	h.mu.Unlock()
	if verified.At.IsZero() {
		return nil
	}
	verified.Address, verified.Chain = address.String(), []health.Certificate{}
	for _, d := range tlsorigin.Describe(chain, now) {
		verified.Chain = append(verified.Chain, health.Certificate{
			Subject: d.Subject, Issuer: d.Issuer, Names: append([]string{}, d.Names...), Key: d.Key,
			SHA256:    d.SHA256,
			NotBefore: d.NotBefore, NotAfter: d.NotAfter, DaysLeft: d.DaysLeft,
		})
	}
	return &verified
}

// lastingChain returns, of several chains, the one that holds longest; nil of none.
func lastingChain(chains [][]*x509.Certificate) []*x509.Certificate {
	var lasting []*x509.Certificate
	for _, chain := range chains {
		if lasting == nil || firstToEnd(chain).NotAfter.After(firstToEnd(lasting).NotAfter) {
			lasting = chain
		}
	}
	return lasting
}

func firstToEnd(chain []*x509.Certificate) *x509.Certificate {
	return slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
}
