//go:build faults

package faults

import (
	"crypto/x509"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// own gives pgorigin a client certificate, and says which one cures.
func (s *scene) own(pair *tlstest.Pair) {
	s.Helper()
	if pair != nil {
		s.env = append(s.env, pairSettings(s, pair)...)
	}
	good := pairSettings(s, shared.lab.CA.Issue(clientLeaf()))
	s.set = map[string]string{}
	for i, name := range []string{"PGORIGIN_TLS_CERT_FILE", "PGORIGIN_TLS_KEY_FILE"} {
		s.set[name] = good[i][len(name)+1:]
	}
}

func pairSettings(s *scene, pair *tlstest.Pair) []string {
	return []string{
		"PGORIGIN_TLS_CERT_FILE=" + writeFile(s.T, "client.crt", pair.CertPEM()),
		"PGORIGIN_TLS_KEY_FILE=" + writeFile(s.T, "client.key", pair.KeyPEM()),
	}
}

func clientLeaf() tlstest.Leaf {
	return tlstest.Leaf{CommonName: servers.User, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// wrongClient is a pgbouncer that demands a certificate, and a certificate that it does not like.
func wrongClient(issue func(s *scene, l tlstest.Leaf) *tlstest.Pair) func(*scene) {
	return func(s *scene) {
		s.upstream = s.bouncer(servers.PgBouncerOptions{Mutual: true}).Addr
		s.own(issue(s, clientLeaf()))
		bad := s.env
		s.cure = func() { s.replacePair(bad) }
	}
}

// replacePair puts the good pair in place of the bad one, if the advice was to renew the files.
func (s *scene) replacePair(bad []string) {
	if len(s.env) == len(bad) {
		s.env = append(s.env,
			"PGORIGIN_TLS_CERT_FILE="+s.set["PGORIGIN_TLS_CERT_FILE"], "PGORIGIN_TLS_KEY_FILE="+s.set["PGORIGIN_TLS_KEY_FILE"])
	}
}

func clientCertificateFaults() []fault {
	stranger := func(_ *scene, l tlstest.Leaf) *tlstest.Pair {
		return tlstest.NewCA("Strange Clients CA", tlstest.P256).Issue(l)
	}
	certFile := `PGORIGIN_TLS_CERT_FILE`
	mutual := "dbname=" + servers.MutualDatabase
	inMutual := func(s *scene) {
		s.upstream = shared.postgres.Addr
		s.options = []string{mutual}
		s.account = []string{"PGDATABASE=" + servers.MutualDatabase}
	}
	return []fault{
		{
			name: "pgbouncer demands a client certificate",
			lax:  `certificate required|did not return a certificate`, shown: true, reason: "client_cert_required",
			cause: []string{`client certificate`}, first: certFile,
			make: func(s *scene) {
				s.upstream = s.bouncer(servers.PgBouncerOptions{Mutual: true}).Addr
				s.own(nil)
			},
		},
		{
			name: "PostgreSQL demands a client certificate", reason: "client_cert_required",
			cause: []string{`client certificate`}, first: certFile, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				inMutual(s)
				s.own(nil)
			},
		},
		{
			name: "PostgreSQL has lost the CA of client certificates", reason: "auth_rejected",
			cause: []string{`client certificates can only be checked`}, first: `ssl_ca_file`,
			serverSays: true, ofAccount: true,
			make: func(s *scene) {
				pg := s.server(servers.PostgresOptions{})
				inMutual(s)
				s.upstream = pg.Addr
				s.own(shared.lab.CA.Issue(clientLeaf()))
				trust := func(file string) {
					_, err := pg.Exec(s.ctx, "ALTER SYSTEM SET ssl_ca_file = '"+file+"'")
					s.do(err)
					s.do(pg.Present(s.ctx, pg.Certificate)) // which reloads
				}
				trust("")
				s.cure = func() { trust("clients.crt") }
			},
		},
		{
			name: "PostgreSQL logs in by certificate, of another user", reason: "client_cert_rejected",
			cause: []string{`certificate authentication failed|common name|CN\b`},
			first: certFile + `|common name|CN\b`, serverSays: true, ofAccount: true,
			make: func(s *scene) {
				s.upstream = s.server(servers.PostgresOptions{HBA: "local all all trust\nhostssl all all 127.0.0.1/32 cert\n"}).Addr
				l := clientLeaf()
				l.CommonName = "somebody"
				s.own(shared.lab.CA.Issue(l))
				bad := s.env
				s.cure = func() { s.replacePair(bad) }
			},
		},
		{
			name: "pgbouncer does not trust the CA of the client certificate",
			lax:  `unknown ca`, reason: "client_cert_rejected",
			cause: []string{`Strange Clients CA`}, first: `client_tls_ca_file|ssl_ca_file|` + certFile,
			make: wrongClient(stranger),
		},
		{
			name: "PostgreSQL does not trust the CA of the client certificate",
			lax:  `unknown ca`, reason: "client_cert_rejected",
			cause: []string{`Strange Clients CA`}, first: `client_tls_ca_file|ssl_ca_file|` + certFile,
			make: func(s *scene) {
				inMutual(s)
				s.own(stranger(s, clientLeaf()))
				bad := s.env
				s.cure = func() { s.replacePair(bad) }
			},
		},
		{
			name: "the client certificate has expired", lax: `certificate expired|expired`, reason: "client_cert_rejected",
			cause: []string{`client certificate|PGORIGIN_TLS_CERT_FILE`, `expired`}, first: certFile + `|renew`,
			make: wrongClient(func(_ *scene, l tlstest.Leaf) *tlstest.Pair {
				l.NotBefore, l.NotAfter = time.Now().Add(-9*day), time.Now().Add(-day)
				return shared.lab.CA.Issue(l)
			}),
		},
		{
			name: "the client certificate is not valid yet", lax: `not yet valid`, reason: "client_cert_rejected",
			simulated: "The clock stays; a certificate for now comes.",
			cause:     []string{`client certificate|PGORIGIN_TLS_CERT_FILE`, `not valid (yet|before)|begins`},
			first:     `clock|` + certFile,
			make: wrongClient(func(_ *scene, l tlstest.Leaf) *tlstest.Pair {
				l.NotBefore = time.Now().Add(2 * day)
				return shared.lab.CA.Issue(l)
			}),
		},
		{
			name: "the server's list of revoked client certificates is out of date",
			lax:  `expired`, reason: "client_cert_rejected",
			cause: []string{`client certificate`, `expired`},
			first: `ssl_crl_file`, tried: `Unset PGORIGIN_TLS_CERT_FILE|ssl_crl_file`,
			make: func(s *scene) {
				list := func(end time.Time) string {
					return string(tlstest.CRLPEM(shared.lab.CA.CRL(tlstest.CRL{NextUpdate: end})))
				}
				pg := s.server(servers.PostgresOptions{
					Settings: []string{"ssl_crl_file = 'clients.crl'"},
					Files:    map[string]string{"clients.crl": list(time.Now().Add(-day))},
				})
				s.upstream = pg.Addr
				s.own(shared.lab.CA.Issue(clientLeaf()))
				s.cure = func() {
					s.do(pg.Write("clients.crl", list(time.Now().Add(day))))
					pg.Stop()
					s.do(pg.Start(s.ctx))
				}
			},
		},
		{
			name: "the server has no list of revoked certificates of the issuer",
			lax:  `unknown ca`, reason: "client_cert_rejected",
			cause: []string{`client certificate`, `issuer`},
			first: `ssl_crl_file`, tried: `Unset PGORIGIN_TLS_CERT_FILE|ssl_crl_file`,
			make: func(s *scene) {
				list := func(ca *tlstest.CA) string { return string(tlstest.CRLPEM(ca.CRL(tlstest.CRL{}))) }
				pg := s.server(servers.PostgresOptions{
					Settings: []string{"ssl_crl_file = 'clients.crl'"},
					Files:    map[string]string{"clients.crl": list(tlstest.NewCA("a stranger's CA", tlstest.P256))},
				})
				s.upstream = pg.Addr
				s.own(shared.lab.CA.Issue(clientLeaf()))
				s.cure = func() {
					s.do(pg.Write("clients.crl", list(shared.lab.CA)))
					pg.Stop()
					s.do(pg.Start(s.ctx))
				}
			},
		},
		{
			name: "the server takes no signature of the client's key", reason: "client_cert_rejected",
			cause: []string{`client certificate`, `P-224`}, first: certFile,
			make: wrongClient(func(_ *scene, l tlstest.Leaf) *tlstest.Pair {
				l.Key = tlstest.P224
				return shared.lab.CA.Issue(l)
			}),
		},
		{
			name: "the client certificate is for servers", lax: `unsupported certificate`, reason: "client_cert_rejected",
			cause: []string{`client certificate|PGORIGIN_TLS_CERT_FILE`, `client auth|for clients|usage|for servers`},
			first: certFile + `|issue`,
			make: wrongClient(func(_ *scene, l tlstest.Leaf) *tlstest.Pair {
				l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
				return shared.lab.CA.Issue(l)
			}),
		},
		{
			name: "the client certificate file lacks the intermediate", lax: `unknown ca`, reason: "client_cert_rejected",
			cause: []string{`Clients Issuing CA`}, first: certFile,
			make: func(s *scene) {
				s.upstream = s.bouncer(servers.PgBouncerOptions{Mutual: true}).Addr
				pair := shared.lab.CA.Intermediate("Clients Issuing CA", tlstest.P256).Issue(clientLeaf())
				s.env = pairSettings(s, pair.WithChain())
				s.set = map[string]string{"PGORIGIN_TLS_CERT_FILE": writeFile(s.T, "chain.crt", pair.CertPEM())}
			},
		},
		{
			name: "the client certificate is revoked", lax: `revoked`, reason: "client_cert_rejected",
			cause: []string{`client certificate`, `revoked`}, first: certFile + `|new|renew|replace`,
			make: func(s *scene) {
				pair := shared.lab.CA.Issue(clientLeaf())
				pg := s.server(servers.PostgresOptions{
					Settings: []string{"ssl_crl_file = 'clients.crl'"},
					Files: map[string]string{"clients.crl": string(tlstest.CRLPEM(
						shared.lab.CA.CRL(tlstest.CRL{Revoked: []*x509.Certificate{pair.Leaf}})))},
				})
				s.do(pg.Signal(syscall.SIGHUP))
				s.upstream = pg.Addr
				s.own(pair)
				bad := s.env
				s.cure = func() { s.replacePair(bad) }
			},
		},
	}
}
