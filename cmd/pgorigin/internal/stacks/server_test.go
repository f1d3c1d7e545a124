package stacks

import (
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// serves is an ordinary server with a certificate, whose chain leads to a trusted root.
func serves(leaf *x509.Certificate, issuers ...*x509.Certificate) *Server {
	s := ordinary()
	s.Name, s.Now, s.Verified = "db.test", time.Now(), true
	s.Path = append([]*x509.Certificate{leaf}, issuers...)
	s.Sent = slices.Clone(s.Path[:max(1, len(s.Path)-1)])
	return s
}

// issued is a server with a certificate of ca.
func issued(ca *tlstest.CA, leaf tlstest.Leaf) *Server {
	if leaf.DNSNames == nil && leaf.CommonName == "" {
		leaf.DNSNames = []string{"db.test"}
	}
	return serves(ca.Issue(leaf).Leaf, ca.Cert)
}

// TestStories has servers that broke applications, and what those applications said.
func TestStories(t *testing.T) {
	p256 := tlstest.NewCA("Test Root", tlstest.P256)
	rsa2048 := tlstest.NewCA("RSA Root", tlstest.RSA2048)
	p384 := tlstest.NewCA("P-384 Root", tlstest.P384)
	p521 := tlstest.NewCA("P-521 Root", tlstest.P521)
	ed25519 := tlstest.NewCA("Ed25519 Root", tlstest.Ed25519)
	change := func(s *Server, change func(*Server)) *Server {
		change(s)
		return s
	}
	selfSigned := tlstest.SelfSigned(tlstest.Leaf{
		DNSNames: []string{"db.test"}, Template: func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = true, true },
	}).Leaf
	intermediate := p256.Intermediate("Test Intermediate", tlstest.P256)
	below := intermediate.Issue(tlstest.Leaf{DNSNames: []string{"db.test"}}).Leaf
	old := tlstest.NewAuthority(tlstest.Authority{Name: "Old Root", Template: func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(-3, 0, 0), time.Now().AddDate(-1, 0, 0)
	}}).Cert
	lax := tlstest.NewAuthority(tlstest.Authority{Name: "Lax Root", Template: func(c *x509.Certificate) { c.KeyUsage = 0 }})
	large := *below
	large.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 16383), E: 65537}
	for name, row := range map[string]struct {
		server *Server
		cause  Cause
		text   string // in the sentence about the server
		fails  map[string]string
	}{
		"authority P-521": {
			issued(p521, tlstest.Leaf{}), IssuerP521, `the key of the authority "P-521 Root" is ECDSA P-521`,
			map[string]string{"rustls with ring": "UnknownIssuer"},
		},
		"authority P-521 that was not sent": {
			change(issued(p521, tlstest.Leaf{}), func(s *Server) { s.Verified, s.Path = false, s.Path[:1] }),
			IssuerP521, `the key of the authority "P-521 Root", by its signature, is ECDSA P-521`,
			map[string]string{"rustls with ring": "UnknownIssuer"},
		},
		"key P-521": {
			issued(p256, tlstest.Leaf{Key: tlstest.P521}), LeafP521, "the server's key is ECDSA P-521",
			map[string]string{"rustls with ring": "HandshakeFailure", "BoringSSL": "", "Schannel": ""},
		},
		"P-384 with SHA-512": {
			issued(p384, tlstest.Leaf{Template: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA512 }}),
			IssuerSHA512, `"P-384 Root" has a key on P-384 and signed with SHA-512`,
			map[string]string{"rustls with ring": "UnknownIssuer"},
		},
		"openssl req -x509": {
			serves(selfSigned), LeafIsCA, "is a CA certificate",
			map[string]string{"rustls with ring": "CaUsedAsEndEntity", "rustls with aws-lc-rs": "CaUsedAsEndEntity"},
		},
		"name only in CN": {
			issued(p256, tlstest.Leaf{CommonName: "db.test"}), NameInCN, "only in the common name",
			map[string]string{"Go 1.26": "use SANs instead", "rustls with ring": "", "Secure Transport": ""},
		},
		"version 1": {
			issued(p256, tlstest.Leaf{Form: tlstest.Form{Version1: true}}), Version1, "version 1",
			map[string]string{"rustls with ring": "UnsupportedCertVersion", "Go": "legacy Common Name"},
		},
		"Ed25519 with channel binding": {
			change(issued(ed25519, tlstest.Leaf{}), func(s *Server) {
				s.Methods = []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}
			}),
			BoundToEd25519, "channel binding",
			map[string]string{"libpq 15": "could not find digest for NID UNDEF"},
		},
		"authority Ed25519": {
			issued(ed25519, tlstest.Leaf{}), IssuerEd25519, `authority "Ed25519 Root" is Ed25519`,
			map[string]string{"Java 11": "PKIX path validation failed", "Java 8": ""},
		},
		"key Ed25519": {
			issued(p256, tlstest.Leaf{Key: tlstest.Ed25519}), LeafEd25519, "the server's key is Ed25519",
			map[string]string{"Java 11": "handshake_failure", "BoringSSL": "", "Schannel": "", ".NET": ""},
		},
		"authority without key usage": {
			issued(lax, tlstest.Leaf{}), NoKeyUsage, `"Lax Root" has no key usage`,
			map[string]string{"Python 3.13": "key usage"},
		},
		"ten years": {
			issued(p256, tlstest.Leaf{NotAfter: time.Now().AddDate(10, 0, 0)}), LongValidity, "valid for 36",
			map[string]string{"Secure Transport": ""},
		},
		"no extended key usage": {
			issued(p256, tlstest.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{}}), NoServerAuth, "no extended key usage",
			map[string]string{"Secure Transport": ""},
		},
		"RSA 1024": {
			issued(rsa2048, tlstest.Leaf{Key: tlstest.RSA1024}), RSASmall, "has 1024 bits",
			map[string]string{"rustls with ring": "", "Python": "", "Node 24": ""},
		},
		"RSA 16384": {
			serves(&large, intermediate.Cert, p256.Cert), RSALarge, "has 16384 bits",
			map[string]string{"Go 1.26": "larger than 8192 bits", "rustls with ring": ""},
		},
		"SHA-1": {
			issued(p256, tlstest.Leaf{Form: tlstest.Form{SHA1: true}}), SHA1ECDSA, "signed with ECDSA-SHA1",
			map[string]string{"Go 1.26": "unknown authority", "Python": "digest algorithm too weak", "Node 22": ""},
		},
		"intermediate not sent": {
			change(serves(below, intermediate.Cert, p256.Cert), func(s *Server) { s.Sent = s.Path[:1] }),
			NotSent, `does not send the intermediate "Test Intermediate"`,
			map[string]string{"Go 1.26": "unknown authority", "Java 17": "PKIX", "rustls with ring": "UnknownIssuer"},
		},
		"old cross-signed root": {
			change(serves(below, intermediate.Cert, p256.Cert), func(s *Server) { s.Sent = append(s.Sent, old) }),
			ExpiredExtra, `"Old Root", which is expired`,
			map[string]string{"OpenSSL 1.0.2": "certificate has expired", "Node 8": "", "Erlang": ""},
		},
		"underscore and wildcard": {
			change(issued(p256, tlstest.Leaf{DNSNames: []string{"*.test"}}), func(s *Server) { s.Name = "my_db.test" }),
			UnderscoreWildcard, "underscore",
			map[string]string{"Python": "Hostname mismatch"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			traits := row.server.Traits()
			i := slices.IndexFunc(traits, func(t Trait) bool { return t.Cause == row.cause })
			if i < 0 || !strings.Contains(traits[i].Text, row.text) {
				t.Fatalf("traits %+v, want %s: %s", traits, row.cause, row.text)
			}
			checkStory(t, row.server, row.cause, row.fails)
		})
	}
}

// checkStory checks that each of fails is broken by cause, and what it says.
func checkStory(t *testing.T, server *Server, cause Cause, fails map[string]string) {
	t.Helper()
	seen := map[string]bool{}
	for _, k := range Table() {
		for name, words := range fails {
			if !strings.HasPrefix(k.String(), name) {
				continue
			}
			for _, r := range Predict(server, &k).Reasons {
				if r.Cause == cause && r.Verdict == Fails && strings.Contains(r.Words, words) {
					seen[name] = true
				}
			}
		}
	}
	for name, words := range fails {
		if !seen[name] {
			t.Errorf("%s should fail with %q; those that fail: %s", name, words, broken(server, cause))
		}
	}
}

// What is ordinary has no traits, of whatever usual keys it is made.
func TestOrdinaryChainsHaveNoTraits(t *testing.T) {
	for _, key := range []tlstest.KeyType{tlstest.P256, tlstest.RSA2048} {
		if traits := issued(tlstest.NewCA("Root", key), tlstest.Leaf{Key: key}).Traits(); len(traits) > 0 {
			t.Errorf("%s: %+v", key, traits)
		}
	}
}

// A signature tells the key of an authority that was not sent.
func TestTheSignerIsRecognised(t *testing.T) {
	for curve, kind := range map[string]tlstest.KeyType{
		"P-256": tlstest.P256, "P-384": tlstest.P384, "P-521": tlstest.P521, "Ed25519": tlstest.Ed25519,
	} {
		for range 8 {
			leaf := tlstest.NewCA("Root", kind).Issue(tlstest.Leaf{DNSNames: []string{"db.test"}}).Leaf
			if got := signerOf(leaf); got.curve != curve {
				t.Errorf("%+v, want %s", got, curve)
			}
		}
	}
	leaf := tlstest.NewCA("Root", tlstest.RSA1024).Issue(tlstest.Leaf{DNSNames: []string{"db.test"}}).Leaf
	if got := signerOf(leaf); got.bits != 1024 {
		t.Errorf("%+v, want 1024 bits", got)
	}
}
