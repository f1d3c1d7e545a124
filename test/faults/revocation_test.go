package faults

import (
	"crypto/x509"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func revocationFaults() []fault {
	served := func() *x509.Certificate { return shared.postgres.Certificate.Leaf }
	list := func(s *scene, ca *tlstest.CA, l tlstest.CRL) string {
		return writeFile(s.T, "list.crl", tlstest.CRLPEM(ca.CRL(l)))
	}
	// current replaces the list by a good one of the right issuer.
	current := func(s *scene) {
		s.upstream = shared.postgres.Addr
		s.set = map[string]string{"PGORIGIN_TLS_CRL_FILE": list(s, shared.lab.CA, tlstest.CRL{})}
	}
	return []fault{
		{
			name: "the server's certificate is revoked", reason: "cert_revoked",
			cause: []string{`revoked`}, first: `PGORIGIN_UPSTREAM_ADDR|renew|replace|new certificate`,
			make: func(s *scene) {
				pair := shared.lab.ServerCertificate(tlstest.P256)
				presents(func() *tlstest.Pair { return pair })(s)
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, shared.lab.CA, tlstest.CRL{Revoked: []*x509.Certificate{pair.Leaf}, Reason: 1})}
			},
		},
		{
			name: "the revocation list is out of date", reason: "crl_stale",
			cause: []string{`throw-away CA`, `20\d\d-`}, first: `PGORIGIN_TLS_CRL_FILE`, peers: `sslcrl|CRLfile|CRL`,
			make: func(s *scene) {
				current(s)
				old := tlstest.CRL{ThisUpdate: time.Now().Add(-9 * day), NextUpdate: time.Now().Add(-day)}
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, shared.lab.CA, old)}
			},
		},
		{
			name: "there is no revocation list of the issuer", reason: "crl_missing",
			cause: []string{`throw-away CA`, `no (CRL|(revocation )?list)`}, first: `PGORIGIN_TLS_CRL_FILE`, peers: `sslcrl|CRLfile|CRL`,
			make: func(s *scene) {
				current(s)
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, tlstest.NewCA("a stranger's CA", tlstest.P256), tlstest.CRL{})}
			},
		},
		{
			name: "the server has another key than the pinned one", reason: "cert_pin_mismatch",
			cause: []string{`pin`, `sha256`}, first: `PGORIGIN_TLS_PINS|PGORIGIN_UPSTREAM_ADDR`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{"PGORIGIN_TLS_PINS=" + tlsorigin.Pin(tlstest.NewCA("other", tlstest.P256).Cert)}
				s.noPeers = true
				s.set = map[string]string{"PGORIGIN_TLS_PINS": tlsorigin.Pin(served())}
				s.cure = func() { s.env = append(s.env, "PGORIGIN_TLS_PINS="+tlsorigin.Pin(served())) }
			},
		},
	}
}
