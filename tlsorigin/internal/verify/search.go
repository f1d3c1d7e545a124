package verify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// The work of signature checks, in units of one check with P-256 or RSA-2048; see signatureWork. A check with
// P-521 takes 8 units and about 3 ms, so both limits together are about 35 ms.
const (
	verifyWork  = 64 // to accept or to refuse
	explainWork = 24 // to explain a Refusal
	MaxPath     = 8  // intermediates of one chain
	hashedUnit  = 16 << 10
)

// verifiedChains returns chains that crypto/x509 verifies from sent to the roots, apart from the name. It
// stops at the first that satisfies the policy.
func (p *Policy) verifiedChains(sent []*x509.Certificate, now time.Time) (chains [][]*x509.Certificate,
	err error,
) {
	s := p.newSearch(sent, verifyWork)
	s.run(func(path []*x509.Certificate) (done bool) {
		found, failure := sent[0].Verify(x509.VerifyOptions{
			Roots: p.pool, Intermediates: poolOf(path), CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if fips140.Enabled() && len(found) > 0 {
			if found = slices.DeleteFunc(found, hasUnapprovedKey); len(found) == 0 {
				failure = errUnapproved
			}
		}
		if err == nil || isUnknownAuthority(err) && failure != nil {
			err = failure
		}
		chains = append(chains, found...)
		return p.Accepted(found, now) != nil
	})
	switch {
	case len(chains) > 0:
		return chains, nil
	case s.exhausted && isUnknownAuthority(err), err == nil:
		return nil, errTooMuchWork
	}
	return nil, err
}

func isUnknownAuthority(err error) bool {
	var unknown x509.UnknownAuthorityError
	return errors.As(err, &unknown)
}

// search goes through the paths of intermediates by which a leaf may lead to a root. It reads names only, so
// it knows what a path costs before anything is verified.
type search struct {
	policy    *Policy
	leaf      *x509.Certificate
	others    []*x509.Certificate // without duplicates and configured roots
	left      int                 // work that may still be done
	exhausted bool                // a path was left out because too little work was left
	try       func(path []*x509.Certificate) (done bool)
}

func (p *Policy) newSearch(sent []*x509.Certificate, work int) *search {
	s := &search{policy: p, leaf: sent[0], left: work}
	known := map[string]bool{string(sent[0].Raw): true}
	for _, root := range p.roots {
		known[string(root.Raw)] = true
	}
	for _, cert := range sent[1:] {
		if !known[string(cert.Raw)] && cert.PublicKey != nil {
			known[string(cert.Raw)] = true
			s.others = append(s.others, cert)
		}
	}
	return s
}

// run calls try with each path that cannot be made longer, until try returns true or the work is used up. In
// one path no name occurs twice, so crypto/x509 has no choice in it.
func (s *search) run(try func(path []*x509.Certificate) (done bool)) {
	s.try = try
	s.walk(nil)
}

func (s *search) walk(path []*x509.Certificate) (done bool) {
	longer := false
	if len(path) < MaxPath {
		for _, parent := range s.parents(path) {
			next := append(slices.Clone(path), parent)
			if s.work(next) > s.left {
				s.exhausted = true
				break
			}
			longer = true
			if s.walk(next) {
				return true
			}
		}
	}
	if longer {
		return s.exhausted
	}
	work := s.work(path)
	if work > s.left {
		s.exhausted = true
		return true
	}
	s.left -= work
	return s.try(path) || s.exhausted
}

// parents returns the certificates that may have issued the last one of path. Those with the right key
// identifier come first.
func (s *search) parents(path []*x509.Certificate) []*x509.Certificate {
	child := s.leaf
	if len(path) > 0 {
		child = path[len(path)-1]
	}
	var parents []*x509.Certificate
	for _, cert := range s.others {
		sameName := func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, cert.RawSubject) }
		if bytes.Equal(cert.RawSubject, child.RawIssuer) && !slices.ContainsFunc(path, sameName) {
			parents = append(parents, cert)
		}
	}
	slices.SortStableFunc(parents, func(a, b *x509.Certificate) int {
		return keyDistance(child, a) - keyDistance(child, b)
	})
	return parents
}

// keyDistance orders possible issuers of child as crypto/x509 does.
func keyDistance(child, issuer *x509.Certificate) int {
	switch {
	case len(child.AuthorityKeyId) == 0, len(issuer.SubjectKeyId) == 0:
		return 1
	case bytes.Equal(child.AuthorityKeyId, issuer.SubjectKeyId):
		return 0
	}
	return 2
}

// work returns what crypto/x509 does at most with a path: one check for each certificate and each possible
// issuer.
func (s *search) work(path []*x509.Certificate) int {
	work := 0
	check := func(child, issuer *x509.Certificate) {
		if child != issuer && bytes.Equal(child.RawIssuer, issuer.RawSubject) {
			work += signatureWork(issuer) + len(child.Raw)/hashedUnit
		}
	}
	for _, child := range append([]*x509.Certificate{s.leaf}, path...) {
		work += len(child.Raw) / hashedUnit
		for _, issuer := range path {
			check(child, issuer)
		}
		roots := s.policy.rootsByName[string(child.RawIssuer)]
		for _, root := range roots[:min(len(roots),
			2)] { // more roots of one name cost what the configuration asks for
			check(child, root)
		}
		if s.policy.roots == nil {
			work++ // the system's roots cannot be listed; none has a P-521 key
		}
	}
	return work
}

// signatureWork returns the cost of checking a signature by the key of issuer.
func signatureWork(issuer *x509.Certificate) int {
	switch key := issuer.PublicKey.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P521():
			return 8
		case elliptic.P384():
			return 2
		}
	case *rsa.PublicKey:
		work := max(1, key.N.BitLen()*key.N.BitLen()/(4096*4096))
		if key.E > 1<<17 {
			work *= 3
		}
		return work
	}
	return 1
}

// hasUnapprovedKey reports whether a chain has a key that FIPS 140-3 mode does not accept. crypto/tls drops
// such chains when it verifies by itself. Short RSA keys are refused in every mode.
func hasUnapprovedKey(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain, func(cert *x509.Certificate) bool {
		key, ok := cert.PublicKey.(*ecdsa.PublicKey)
		return ok && key.Curve == elliptic.P224()
	})
}

func poolOf(certs []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}
