package diagnose

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// Chain is what an upstream presented. Texts from certificates are quoted, stripped and bounded.
type Chain struct {
	Verified bool // Path is the chain that was verified, apart from the name, up to the trust anchor
	// Path leads from the authority to the upstream's own certificate. If nothing was verified, it is what
	// was sent, as far as issuers and subjects link it.
	Path []tlsorigin.PeerCertificate
	// Unused were sent, too.
	Unused []tlsorigin.PeerCertificate
	// Names are what the upstream's certificate is valid for, quoted, the first few of many.
	Names string
}

// describeChain describes the certificates that were sent, leaf first, and the chain that was verified, if
// any.
func describeChain(sent, verified []*x509.Certificate, now time.Time) Chain {
	if len(sent) == 0 {
		return Chain{}
	}
	chain := Chain{Verified: verified != nil, Names: strings.Join(verify.NamesOf(sent[0]), ", ")}
	path := pathOf(sent, verified)
	chain.Path = tlsorigin.Describe(path, now)
	for i, cert := range slices.Backward(path) {
		chain.Path[len(path)-1-i].Sent = verify.Contains(sent, cert)
	}
	for _, cert := range sent {
		if !verify.Contains(path, cert) && len(chain.Unused) < verify.MaxLinked {
			chain.Unused = append(chain.Unused, tlsorigin.DescribeCertificate(cert, now))
		}
	}
	return chain
}

// pathOf returns the chain that was verified, or what was sent as far as issuers and subjects link it.
func pathOf(sent, verified []*x509.Certificate) []*x509.Certificate {
	if verified != nil || len(sent) == 0 {
		return verified
	}
	return verify.Linked(sent)
}
