//go:build faults

package faults

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
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
			name: "the server's certificate is revoked", lax: `revoked`, reason: "cert_revoked",
			cause: []string{`revoked`}, first: `PGORIGIN_UPSTREAM_ADDR|renew|replace|new certificate`,
			make: func(s *scene) {
				pair := shared.lab.ServerCertificate(tlstest.P256)
				presents(func() *tlstest.Pair { return pair })(s)
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, shared.lab.CA, tlstest.CRL{Revoked: []*x509.Certificate{pair.Leaf}, Reason: 1})}
			},
		},
		{
			name: "the revocation list is out of date", lax: `CRL has expired`, reason: "crl_stale",
			cause: []string{`throw-away CA`, `20\d\d-`}, first: `PGORIGIN_TLS_CRL_FILE`, peers: `sslcrl|CRLfile|CRL`,
			make: func(s *scene) {
				current(s)
				old := tlstest.CRL{ThisUpdate: time.Now().Add(-9 * day), NextUpdate: time.Now().Add(-day)}
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, shared.lab.CA, old)}
			},
		},
		{
			name: "there is no revocation list of the issuer",
			lax:  `unable to get certificate CRL|no CRL`, reason: "crl_missing",
			cause: []string{`throw-away CA`, `no (CRL|(revocation )?list)`},
			first: `PGORIGIN_TLS_CRL_FILE`, peers: `sslcrl|CRLfile|CRL`,
			make: func(s *scene) {
				current(s)
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, tlstest.NewCA("a stranger's CA", tlstest.P256), tlstest.CRL{})}
			},
		},
		{
			name: "the revocation list begins in the future", lax: `CRL is not yet valid`, reason: "crl_stale",
			simulated: "The clock stays; a list for now comes.",
			cause:     []string{`throw-away CA`, `20\d\d-`}, first: `clock|PGORIGIN_TLS_CRL_FILE`, peers: `sslcrl|CRLfile|CRL`,
			make: func(s *scene) {
				current(s)
				future := tlstest.CRL{ThisUpdate: time.Now().Add(2 * day), NextUpdate: time.Now().Add(9 * day)}
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, shared.lab.CA, future)}
				good := s.set["PGORIGIN_TLS_CRL_FILE"]
				s.cure = func() { s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + good} }
			},
		},
		{
			name: "the revocation list has the right name and another signer",
			lax:  `CRL signature failure|CRL`, reason: "crl_missing",
			cause: []string{`throw-away CA`, `sign|key`}, first: `PGORIGIN_TLS_CRL_FILE`, peers: `sslcrl|CRLfile|CRL`,
			make: func(s *scene) {
				current(s)
				other := tlstest.NewCA("pgorigin throw-away CA", tlstest.P521)
				s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, other, tlstest.CRL{})}
			},
		},
		{
			name: "the CA may not sign revocation lists", lax: `CRL signing`, reason: "cert_invalid",
			cause: []string{`CA without lists`, `list`}, first: `issue|authority|CA\b|PGORIGIN_TLS_CRL_FILE`,
			make: func(s *scene) {
				ca := tlstest.NewAuthority(tlstest.Authority{Name: "CA without lists", Template: func(c *x509.Certificate) {
					c.KeyUsage = x509.KeyUsageCertSign
				}})
				b := s.bouncer(servers.PgBouncerOptions{Certificate: ca.Issue(leaf())})
				s.upstream = b.Addr
				s.env = []string{
					"PGORIGIN_TLS_CA_FILE=" + writeFile(s.T, "ca.crt", ca.PEM()), "PGORIGIN_TLS_CRL_FILE=" + list(s, ca, tlstest.CRL{}),
				}
				s.cure = func() {
					s.do(b.Present(s.ctx, shared.lab.ServerCertificate(tlstest.P256)))
					s.env = []string{"PGORIGIN_TLS_CRL_FILE=" + list(s, shared.lab.CA, tlstest.CRL{})}
				}
			},
		},
		{
			name: "a pin is the hash of a certificate", reason: "cert_pin_mismatch",
			cause: []string{`pin`, `sha256`}, first: `PGORIGIN_TLS_PINS`,
			make: func(s *scene) {
				s.upstream, s.noPeers = shared.postgres.Addr, true
				hash := sha256.Sum256(served().Raw)
				s.env = []string{"PGORIGIN_TLS_PINS=sha256/" + base64.StdEncoding.EncodeToString(hash[:])}
				s.set = map[string]string{"PGORIGIN_TLS_PINS": tlsorigin.Pin(served())}
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
			},
		},
	}
}
