//go:build faults

package faults

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// day is a day.
const day = 24 * time.Hour

// presents is a pgbouncer with a certificate of its own. The cure is a good one.
func presents(issue func() *tlstest.Pair) func(*scene) {
	return func(s *scene) {
		b := s.bouncer(servers.PgBouncerOptions{Certificate: issue()})
		s.upstream = b.Addr
		s.cure = func() { s.do(b.Present(s.ctx, shared.lab.ServerCertificate(tlstest.P256))) }
	}
}

// fronted is presents for certificates that OpenSSL does not serve.
func fronted(issue func() *tlstest.Pair) func(*scene) {
	return func(s *scene) {
		g := s.gate(fronts(serves(issue())))
		s.upstream = g.Addr
		s.cure = func() { g.become(fronts(goodTLS())) }
	}
}

// with changes the usual certificate.
func with(change func(*tlstest.Leaf)) func() *tlstest.Pair {
	return func() *tlstest.Pair {
		l := leaf()
		change(&l)
		return shared.lab.CA.Issue(l)
	}
}

func certificateFaults() []fault {
	ca := func() *tlstest.CA { return shared.lab.CA }
	return append([]fault{
		{
			name: "another CA is trusted here", lax: `self-signed certificate in certificate chain|unable to get local issuer|unknown ca`, shown: true, reason: "cert_unknown_authority",
			cause: []string{`stranger's CA`, `throw-away CA`}, first: `PGORIGIN_TLS_CA_FILE`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{"PGORIGIN_TLS_CA_FILE=" + shared.stranger}
				s.set = map[string]string{"PGORIGIN_TLS_CA_FILE": shared.lab.CAFile}
			},
		},
		{
			name: "the system's roots are trusted, the CA is private",
			lax:  `self-signed certificate in certificate chain|unable to get local issuer|unknown ca`, reason: "cert_unknown_authority",
			cause: []string{`system`, `throw-away CA`}, first: `PGORIGIN_TLS_CA_FILE`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{"PGORIGIN_TLS_CA_FILE="}
				s.set = map[string]string{"PGORIGIN_TLS_CA_FILE": shared.lab.CAFile}
			},
		},
		{
			name: "the CA has a new key and the same name",
			lax:  `signature failure|unable to get local issuer|self-signed certificate in`, reason: "cert_unknown_authority",
			cause: []string{`throw-away CA`, `key`}, first: `PGORIGIN_TLS_CA_FILE`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				old := tlstest.NewCA("pgorigin throw-away CA", tlstest.P521).PEM()
				s.env = []string{"PGORIGIN_TLS_CA_FILE=" + writeFile(s.T, "old.crt", old)}
				s.set = map[string]string{"PGORIGIN_TLS_CA_FILE": shared.lab.CAFile}
			},
		},
		{
			name: "the server's certificate is self-signed", lax: `self-signed|self signed`, reason: "cert_unknown_authority",
			cause: []string{`self-signed`}, first: `PGORIGIN_TLS_CA_FILE`,
			make: func(s *scene) {
				pair := tlstest.SelfSigned(leaf())
				s.upstream = s.bouncer(servers.PgBouncerOptions{Certificate: pair}).Addr
				s.set = map[string]string{"PGORIGIN_TLS_CA_FILE": writeFile(s.T, "self.crt", pair.CertPEM())}
			},
		},
		{
			name: "the server sends its own certificate without the intermediate",
			lax:  `unable to get local issuer|unable to verify the first`, shown: true, reason: "chain_incomplete",
			cause: []string{`Issuing CA 1`, `not sent`}, first: `intermediate`,
			make: func(s *scene) {
				pair := ca().Intermediate("Issuing CA 1", tlstest.P256).Issue(leaf())
				b := s.bouncer(servers.PgBouncerOptions{Certificate: pair.WithChain()})
				s.upstream = b.Addr
				s.cure = func() { s.do(b.Present(s.ctx, pair)) }
			},
		},
		{
			name: "the intermediate is missing, and does not look like one", reason: "cert_unknown_authority",
			cause: []string{`Databases CA`, `not sent`, `throw-away CA`}, first: `PGORIGIN_TLS_CA_FILE`,
			make: func(s *scene) {
				between := ca().Intermediate("Databases CA", tlstest.P256)
				s.upstream = s.bouncer(servers.PgBouncerOptions{Certificate: between.Issue(leaf()).WithChain()}).Addr
				s.set = map[string]string{"PGORIGIN_TLS_CA_FILE": writeFile(s.T, "both.crt", append(ca().PEM(), between.PEM()...))}
			},
		},
		{
			name: "another CA with the right name has signed with SHA-1",
			lax:  `too weak|signature failure`, reason: "cert_unknown_authority",
			cause: []string{`SHA-?1`}, first: `SHA-256`,
			make: fronted(func() *tlstest.Pair {
				l := leaf()
				l.Form.SHA1 = true
				return tlstest.NewCA("pgorigin throw-away CA", tlstest.P521).Issue(l)
			}),
		},
		{
			name: "the server sends many authorities that sign one another", reason: "cert_unknown_authority",
			cause: []string{`limit of signature checks`}, first: `fewer|send|only`,
			make: fronted(func() *tlstest.Pair {
				ring := tlstest.NewCA("Ring", tlstest.P521)
				chain := []*x509.Certificate{ring.Cert}
				for i := range 16 {
					chain = append(chain, ring.CrossSign(ring, func(c *x509.Certificate) { c.DNSNames = []string{fmt.Sprint(i)} }).Cert)
				}
				return ring.Issue(leaf()).WithChain(chain...)
			}),
		},
		{
			name: "the server's certificate has expired", lax: `expired`, shown: true, reason: "cert_expired",
			cause: []string{`expired`, `ago|20\d\d-`}, first: `renew`,
			make: presents(with(func(l *tlstest.Leaf) { l.NotBefore, l.NotAfter = time.Now().Add(-9*day), time.Now().Add(-day) })),
		},
		{
			name: "an intermediate has expired", lax: `expired`, reason: "cert_expired",
			cause: []string{`Issuing CA 2`, `expired`}, first: `intermediate|Issuing CA 2`,
			make: presents(func() *tlstest.Pair {
				return ca().Authority(tlstest.Authority{Name: "Issuing CA 2", Template: func(c *x509.Certificate) {
					c.NotBefore, c.NotAfter = time.Now().Add(-9*day), time.Now().Add(-day)
				}}).Issue(leaf())
			}),
		},
		{
			name: "the CA in the CA file has expired", lax: `expired`, reason: "cert_expired",
			cause: []string{`Old Root`, `expired`}, first: `PGORIGIN_TLS_CA_FILE`,
			make: func(s *scene) {
				root := tlstest.NewAuthority(tlstest.Authority{Name: "Old Root", Template: func(c *x509.Certificate) {
					c.NotBefore, c.NotAfter = time.Now().Add(-9*day), time.Now().Add(-day)
				}})
				fresh := tlstest.NewCA("New Root", tlstest.P256)
				s.env = []string{"PGORIGIN_TLS_CA_FILE=" + writeFile(s.T, "old.crt", root.PEM())}
				b := s.bouncer(servers.PgBouncerOptions{Certificate: root.Issue(leaf())})
				s.upstream = b.Addr
				s.set = map[string]string{"PGORIGIN_TLS_CA_FILE": writeFile(s.T, "new.crt", fresh.PEM())}
				s.cure = func() { s.do(b.Present(s.ctx, fresh.Issue(leaf()))) }
			},
		},
		{
			name: "the server's certificate is not valid yet", lax: `not yet valid`, reason: "cert_not_yet_valid",
			cause: []string{`not valid (yet|before)|not yet valid`, `20\d\d-`}, first: `clock`,
			simulated: "The clock of the machine stays; the server gets a certificate for now.",
			make:      presents(with(func(l *tlstest.Leaf) { l.NotBefore = time.Now().Add(5 * day) })),
		},
		{
			name: "the self-signed certificate has expired", lax: `expired`, reason: "cert_expired",
			cause: []string{`expired`}, first: `renew|PGORIGIN_TLS_CA_FILE`,
			make: func(s *scene) {
				old, fresh := leaf(), leaf()
				old.NotBefore, old.NotAfter = time.Now().Add(-9*day), time.Now().Add(-day)
				pair, renewed := tlstest.SelfSigned(old), tlstest.SelfSigned(fresh)
				b := s.bouncer(servers.PgBouncerOptions{Certificate: pair})
				s.upstream = b.Addr
				s.env = []string{"PGORIGIN_TLS_CA_FILE=" + writeFile(s.T, "old.crt", pair.CertPEM())}
				s.cure = func() {
					s.do(b.Present(s.ctx, renewed))
					s.env = []string{"PGORIGIN_TLS_CA_FILE=" + writeFile(s.T, "new.crt", renewed.CertPEM())}
				}
			},
		},
		{
			name: "the clock of this machine is years ahead", lax: `expired`, reason: "cert_expired",
			cause: []string{`expired`, `20\d\d-`}, first: `clock`, simulated: "The certificates are years old; new ones come.",
			make: func(s *scene) {
				past := func(c *x509.Certificate) {
					c.NotBefore, c.NotAfter = time.Now().Add(-2000*day), time.Now().Add(-1000*day)
				}
				root := tlstest.NewAuthority(tlstest.Authority{Name: "Root of another time", Template: past})
				l := leaf()
				l.Template = past
				b := s.bouncer(servers.PgBouncerOptions{Certificate: root.Issue(l)})
				s.upstream = b.Addr
				s.env = []string{"PGORIGIN_TLS_CA_FILE=" + writeFile(s.T, "root.crt", root.PEM())}
				s.cure = func() {
					s.do(b.Present(s.ctx, shared.lab.ServerCertificate(tlstest.P256)))
					s.env = nil
				}
			},
		},
	}, certificateNames()...)
}

func certificateNames() []fault {
	noNames := func(l *tlstest.Leaf) { l.DNSNames, l.IPs = nil, nil }
	anchored := map[string]string{"PGORIGIN_TLS_SERVER_NAME": servers.ServerName}
	return append([]fault{
		{
			name: "the certificate has another name",
			lax:  `no matching|not present in server certificate|does not match`, reason: "cert_name_mismatch",
			cause: []string{`db\.elsewhere\.test`, `db\.pgorigin\.test`}, first: `unset PGORIGIN_TLS_SERVER_NAME`,
			make: func(s *scene) {
				s.upstream = shared.postgres.Addr
				s.env = []string{"PGORIGIN_TLS_SERVER_NAME=db.elsewhere.test"}
				s.set = map[string]string{"PGORIGIN_TLS_SERVER_NAME": ""}
			},
		},
		{
			name: "the host is an IP address, the certificate has a name only",
			lax:  `no matching|not present in server certificate|does not match`, shown: true, reason: "cert_name_mismatch",
			cause: []string{`127\.0\.0\.1`, `db\.pgorigin\.test`}, first: `PGORIGIN_TLS_SERVER_NAME=db\.pgorigin\.test`,
			make: func(s *scene) {
				s.upstream = s.bouncer(servers.PgBouncerOptions{Certificate: with(func(l *tlstest.Leaf) { l.IPs = nil })()}).Addr
				s.set = anchored
			},
		},
		{
			name: "the certificate has a common name only",
			lax:  `no matching|not present in server certificate|does not match`, reason: "cert_name_mismatch",
			cause: []string{`common name|CN\b|subject alternative name|SAN\b`}, first: `issue|subject alternative|SAN`,
			make: func(s *scene) {
				presents(with(noNames))(s)
				s.env = []string{"PGORIGIN_TLS_SERVER_NAME=" + servers.ServerName}
			},
		},
		{
			name: "the certificate has a wildcard for another domain",
			lax:  `no matching|not present in server certificate|does not match`, reason: "cert_name_mismatch",
			cause: []string{`db\.elsewhere\.test`, `\*\.pgorigin\.test`}, first: `PGORIGIN_TLS_SERVER_NAME`,
			make: func(s *scene) {
				s.upstream = s.bouncer(servers.PgBouncerOptions{Certificate: with(func(l *tlstest.Leaf) {
					l.DNSNames, l.IPs = []string{"*.pgorigin.test"}, nil
				})()}).Addr
				s.env = []string{"PGORIGIN_TLS_SERVER_NAME=db.elsewhere.test"}
				s.set = anchored
			},
		},
		{
			name: "the certificate has another IP address",
			lax:  `no matching|not present in server certificate|does not match`, reason: "cert_name_mismatch",
			cause: []string{`10\.1\.2\.3`, `127\.0\.0\.1`}, first: `PGORIGIN_TLS_SERVER_NAME=10\.1\.2\.3`,
			make: func(s *scene) {
				s.upstream = s.bouncer(servers.PgBouncerOptions{Certificate: with(func(l *tlstest.Leaf) {
					l.DNSNames, l.IPs = nil, []net.IP{net.IPv4(10, 1, 2, 3)}
				})()}).Addr
			},
		},
	}, certificateRules()...)
}

func certificateRules() []fault {
	authority := func(change func(*x509.Certificate)) func() *tlstest.Pair {
		return func() *tlstest.Pair {
			return shared.lab.CA.Authority(tlstest.Authority{Name: "Issuing CA 3", Template: change}).Issue(leaf())
		}
	}
	return []fault{
		{
			name: "the certificate is for clients", lax: `certificate purpose|wrong usage`, reason: "cert_usage",
			cause: []string{`server|usage`, `client|usage`}, first: `issue|server authentication`,
			make: presents(with(func(l *tlstest.Leaf) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
		},
		{
			name: "the key of the certificate may not sign", lax: `key usage|certificate purpose`, reason: "cert_usage",
			cause: []string{`sign|digitalSignature`}, first: `issue|digitalSignature`,
			make: fronted(with(func(l *tlstest.Leaf) { l.KeyUsage = x509.KeyUsageKeyAgreement })),
		},
		{
			name: "an authority allows no authority below it", lax: `path length`, reason: "cert_invalid",
			cause: []string{`Short Path CA|path|authorit`}, first: `issue|authorit`,
			make: presents(func() *tlstest.Pair {
				short := shared.lab.CA.Authority(tlstest.Authority{Name: "Short Path CA", Template: func(c *x509.Certificate) {
					c.MaxPathLen, c.MaxPathLenZero = 0, true
				}})
				return short.Intermediate("Below The Short Path", tlstest.P256).Issue(leaf())
			}),
		},
		{
			name: "the server sends hundreds of certificates", reason: "cert_invalid",
			cause: []string{`bytes of certificates`, `\d{6}`}, first: `fewer|send`,
			make: fronted(func() *tlstest.Pair {
				pair := shared.lab.CA.Issue(leaf())
				return pair.WithChain(slices.Repeat([]*x509.Certificate{shared.lab.CA.Cert}, 300)...)
			}),
		},
		{
			name: "the key of the certificate is too long", reason: "cert_invalid",
			cause: []string{`RSA`, `8192`}, first: `issue|key`,
			make: fronted(with(func(l *tlstest.Leaf) { l.Signer = hugeKey{} })),
		},
		{
			name: "the CA has an Ed448 key", reason: "cert_unknown_authority",
			cause: []string{`Ed448-CA`, `kind of key`}, first: `RSA|ECDSA`,
			make: func(s *scene) {
				ca, pair := ed448(s)
				g := s.gate(fronts(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}))
				s.upstream = g.Addr
				s.env = []string{"PGORIGIN_TLS_CA_FILE=" + ca}
				s.cure = func() {
					g.become(fronts(goodTLS()))
					s.env = nil
				}
			},
		},
		{
			name: "the key of the certificate is too short", lax: `key too small`, reason: "cert_invalid",
			cause: []string{`1024`, `RSA|bits?`}, first: `issue|replace|key`,
			make: fronted(with(func(l *tlstest.Leaf) { l.Key = tlstest.RSA1024 })),
		},
		{
			name: "the certificate is signed with SHA-1", lax: `too weak`, reason: "cert_invalid",
			cause: []string{`SHA-?1`}, first: `issue|replace|SHA-256`,
			make: fronted(with(func(l *tlstest.Leaf) { l.Form.SHA1 = true })),
		},
		{
			name: "the authority may not issue for this name", lax: `permitted subtree`, reason: "cert_invalid",
			cause: []string{`db\.pgorigin\.test`, `constrain|not allowed|permitted`}, first: `issue|authority|Issuing CA 3`,
			make: presents(authority(func(c *x509.Certificate) {
				c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.com"}
			})),
		},
		{
			name: "the issuer is no authority", lax: `invalid CA|CA certificate`, reason: "cert_invalid",
			cause: []string{`Issuing CA 3`, `not an? (CA|authority)|may not (issue|sign)|authority`}, first: `issue|replace`,
			make: presents(authority(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })),
		},
		{
			name: "a critical extension is unknown", lax: `critical extension`, reason: "cert_invalid",
			cause: []string{`critical`, `1\.2\.3\.4`}, first: `issue|replace`,
			make: presents(with(func(l *tlstest.Leaf) {
				l.Template = func(c *x509.Certificate) {
					c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
				}
			})),
		},
	}
}

// hugeKey is an RSA key of more bits than crypto/tls takes. It signs nothing that is valid: the certificate is refused
// before that matters.
type hugeKey struct{}

func (hugeKey) Public() crypto.PublicKey {
	modulus := new(big.Int).Lsh(big.NewInt(1), 9000)
	return &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537}
}

func (hugeKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 9000/8+1), nil
}

// ed448 makes a CA of a kind of key that Go does not know, and a certificate of it.
func ed448(s *scene) (ca string, pair tls.Certificate) {
	s.Helper()
	names := writeFile(s.T, "names.cnf", []byte("subjectAltName=DNS:"+servers.ServerName+",IP:127.0.0.1\n"))
	folder := filepath.Dir(names)
	for _, command := range []string{
		"openssl req -x509 -newkey ed448 -nodes -keyout ca.key -out ca.crt -days 9 -subj /CN=Ed448-CA",
		"openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr -subj /CN=db",
		"openssl x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out leaf.crt -days 9 -extfile names.cnf",
	} {
		cmd := exec.CommandContext(s.ctx, "sh", "-c", command)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			s.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "leaf.crt"), filepath.Join(folder, "leaf.key"))
	s.do(err)
	return filepath.Join(folder, "ca.crt"), pair
}
