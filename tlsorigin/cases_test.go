package tlsorigin

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// caseRow is a chain with one thing wrong, and what chooses its cure.
type caseRow struct {
	name  string
	pair  *tlstest.Pair
	crls  [][]byte
	roots string // nothing: the usual root
	want  Error  // Kind, Case, Value
	text  string // in its text
}

func TestCases(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	for _, row := range append(trustRows(root), append(validityRows(root), ruleRows(root)...)...) {
		t.Run(row.name, func(t *testing.T) {
			d := newTestDialer(t, root, func(c *Config) {
				if row.roots != "" {
					c.CAPEM = row.roots
				}
				if row.crls != nil {
					c.CRLFile = peertest.WriteFile(t, filepath.Join(t.TempDir(), "crl.pem"), tlstest.CRLPEM(row.crls...), 0o644)
				}
			}, peertest.Start(t, peertest.Presents(row.pair)).Addr)
			failure := dialFailure(t, d)
			t.Log(failure.Text)
			if failure.Kind != row.want.Kind || failure.Case != row.want.Case || failure.Value != row.want.Value {
				t.Errorf("%s, %q, %q; want %s, %q, %q", failure.Kind, failure.Case, failure.Value, row.want.Kind, row.want.Case, row.want.Value)
			}
			if !strings.Contains(failure.Text, row.text) {
				t.Errorf("text %q lacks %q", failure.Text, row.text)
			}
			if !failure.Anchored && failure.Value != "" {
				t.Errorf("nobody vouches for %q", failure.Value)
			}
			checkSafe(t, failure.Text)
		})
	}
}

// named is a certificate for the usual name.
func named(change func(*x509.Certificate)) tlstest.Leaf {
	return tlstest.Leaf{CommonName: "server", DNSNames: []string{testName}, Template: change}
}

func trustRows(root *tlstest.CA) []caseRow {
	between, middle := root.Intermediate("Intermediate", tlstest.P256), root.Intermediate("Middle", tlstest.P256)
	stranger := tlstest.NewCA("Evil Root", tlstest.P256)
	many := string(root.PEM())
	for _, name := range []string{"Root B", "Root C", "Root D", "Root E"} {
		many += string(tlstest.NewCA(name, tlstest.P256).PEM())
	}
	published := named(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.test/i.crt"} })
	inDirectory := named(func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"ldap:///CN=CA"} })
	selfSigned := tlstest.SelfSigned(named(nil))
	unknown := Error{Kind: ReasonCertUnknownAuthority, Case: CaseOtherCA}
	return []caseRow{
		{"another CA, alone", stranger.Issue(named(nil)).WithChain(), nil, "", unknown, `is signed by an authority that was not sent and is not trusted: "Evil Root"; trusted here: "Test Root"`},
		{"another CA, and it was sent", stranger.Issue(named(nil)).WithChain(stranger.Cert), nil, "", unknown, `is signed by an authority that is not trusted: "Evil Root"`},
		{"many are trusted", stranger.Issue(named(nil)), nil, many, unknown, `trusted here: "Test Root", "Root B", "Root C" and 2 more`},
		{"intermediate missing, and nothing says that it is one", middle.Issue(named(nil)).WithChain(), nil, "", unknown, `not sent and is not trusted: "Middle"; trusted here: "Test Root"`},
		{"intermediate missing, by its name", between.Issue(named(nil)).WithChain(), nil, "", Error{Kind: ReasonChainIncomplete}, `; that of the authority "Intermediate", which issued it, was not sent`},
		{"intermediate missing, and it is published", middle.Issue(published).WithChain(), nil, "", Error{Kind: ReasonChainIncomplete}, `sent only its own certificate "server"; that of the authority "Middle", which issued it, was not sent and is not trusted; trusted here: "Test Root"`},
		{"intermediate missing, in a directory", middle.Issue(inDirectory).WithChain(), nil, "", unknown, "not sent"},
		{"the root in place of the intermediate", between.Issue(named(nil)).WithChain(root.Cert), nil, "", Error{Kind: ReasonChainIncomplete}, `sent 2 certificates; that of the authority "Intermediate", which issued its own certificate "server", was not sent and is not trusted`},
		{"an old intermediate in place of the new one", between.Issue(named(nil)).WithChain(root.Intermediate("Old", tlstest.P256).Cert), nil, "", Error{Kind: ReasonChainIncomplete}, "sent 2 certificates; that of"},
		{"self-signed", selfSigned, nil, "", Error{Kind: ReasonCertUnknownAuthority, Case: CaseSelfSigned}, `"server" is self-signed and not among the trusted`},
		{"self-signed again, with another key", selfSigned, nil, string(tlstest.SelfSigned(named(nil)).CertPEM()), Error{Kind: ReasonCertUnknownAuthority, Case: CaseSelfSigned}, `not among the trusted certificates, though another of that name is; trusted here: "server"`},
		{"CA with a new key", tlstest.NewCA("Test Root", tlstest.P256).Issue(named(nil)), nil, "", Error{Kind: ReasonCertUnknownAuthority, Case: CaseOtherKey}, "was not signed with that authority's key"},
		{"too many certificates", mutualAuthorities(tlstest.NewCA("Ring", tlstest.P521), 16), nil, "", Error{Kind: ReasonCertUnknownAuthority, Case: CaseTooMany}, "the limit of signature checks"},
		{"another name", root.Issue(tlstest.Leaf{DNSNames: []string{"db.internal", "db2.internal"}}), nil, "", Error{Kind: ReasonCertNameMismatch, Case: CaseOtherName, Value: "db.internal"}, ""},
		{"a wildcard first", root.Issue(tlstest.Leaf{DNSNames: []string{"*.internal", "db.internal"}}), nil, "", Error{Kind: ReasonCertNameMismatch, Case: CaseOtherName, Value: "db.internal"}, ""},
		{"an address", root.Issue(tlstest.Leaf{IPs: []net.IP{net.IPv4(10, 0, 0, 1)}}), nil, "", Error{Kind: ReasonCertNameMismatch, Case: CaseOtherName, Value: "10.0.0.1"}, ""},
		{"a wildcard only", root.Issue(tlstest.Leaf{DNSNames: []string{"*.internal"}}), nil, "", Error{Kind: ReasonCertNameMismatch, Case: CaseWildcard, Value: "*.internal"}, ""},
		{"an address as a DNS name", root.Issue(tlstest.Leaf{DNSNames: []string{"10.0.0.1"}}), nil, "", Error{Kind: ReasonCertNameMismatch, Case: CaseNoNameOwnCA, Value: `"db.test"`}, ""},
		{"names that nobody can ask for", root.Issue(tlstest.Leaf{DNSNames: []string{"a b", "*.*", "x..y"}}), nil, "", Error{Kind: ReasonCertNameMismatch, Case: CaseNoNameOwnCA, Value: `"db.test"`}, ""},
		{"Common Name only", root.Issue(tlstest.Leaf{CommonName: testName}), nil, "", Error{Kind: ReasonCertNameMismatch, Case: CaseNoNameOwnCA, Value: `"db.test"`}, "reissued"},
	}
}

func validityRows(root *tlstest.CA) []caseRow {
	old := root.Authority(tlstest.Authority{Name: "Old", Template: gone})
	oldRoot := tlstest.NewAuthority(tlstest.Authority{Name: "Old Root", Template: gone})
	ended := tlstest.Leaf{CommonName: "server", DNSNames: []string{testName}, NotAfter: time.Now().Add(-25 * time.Hour)}
	future := tlstest.Leaf{CommonName: "server", DNSNames: []string{testName}, NotBefore: time.Now().Add(25 * time.Hour)}
	own := tlstest.SelfSigned(ended)
	direct := root.Issue(named(nil))
	list := func(ca *tlstest.CA, list tlstest.CRL) [][]byte { return [][]byte{ca.CRL(list)} }
	return []caseRow{
		{"expired", root.Issue(ended), nil, "", Error{Kind: ReasonCertExpired}, `"server" expired`},
		{"expired intermediate", old.Issue(named(nil)), nil, "", Error{Kind: ReasonCertExpired, Case: CaseMiddle}, `"Old" expired`},
		{"expired, and an intermediate", old.Issue(ended), nil, "", Error{Kind: ReasonCertExpired}, `also, certificate "Old" expired`},
		{"expired root", oldRoot.Issue(named(nil)), nil, string(oldRoot.PEM()), Error{Kind: ReasonCertExpired, Case: CaseTrusted}, `"Old Root" expired`},
		{"all expired", oldRoot.Issue(ended), nil, string(oldRoot.PEM()), Error{Kind: ReasonCertExpired, Case: CaseClock}, " here)"},
		{"expired and trusted by itself", own, nil, string(own.CertPEM()), Error{Kind: ReasonCertExpired, Case: CaseTrustedLeaf}, "expired"},
		{"not yet valid", root.Issue(future), nil, "", Error{Kind: ReasonCertNotYetValid}, " here)"},
		{"no list", direct, list(tlstest.NewCA("x", tlstest.P256), tlstest.CRL{}), "", Error{Kind: ReasonCRLMissing, Value: `"Test Root"`}, "there is no CRL"},
		{"a list by another key", direct, list(tlstest.NewCA("Test Root", tlstest.P256), tlstest.CRL{}), "", Error{Kind: ReasonCRLMissing, Case: CaseListSigner, Value: `"Test Root"`}, "was not signed with"},
		{"an old list", direct, list(root, tlstest.CRL{NextUpdate: time.Now().Add(-time.Hour)}), "", Error{Kind: ReasonCRLStale, Value: `"Test Root"`}, "out of date"},
		{"a list of tomorrow", direct, list(root, tlstest.CRL{ThisUpdate: time.Now().Add(time.Hour)}), "", Error{Kind: ReasonCRLStale, Case: CaseListBegins, Value: `"Test Root"`}, " here)"},
		{"revoked", direct, list(root, tlstest.CRL{Revoked: []*x509.Certificate{direct.Leaf}}), "", Error{Kind: ReasonCertRevoked}, `was revoked by "Test Root" on `},
	}
}

func ruleRows(root *tlstest.CA) []caseRow {
	authority := func(change func(*x509.Certificate)) *tlstest.CA {
		return root.Authority(tlstest.Authority{Name: "Between", Template: change})
	}
	noCA := authority(func(c *x509.Certificate) { c.IsCA = false })
	mute := authority(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	listless := authority(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	short := authority(func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	narrow := authority(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"elsewhere.test"} })
	critical := named(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	})
	form := named(nil)
	form.Form.SHA1 = true
	weak, noServer, noSigning := named(nil), named(nil), named(nil)
	weak.Key = tlstest.RSA1024
	noServer.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	noSigning.KeyUsage = x509.KeyUsageKeyEncipherment
	invalid := func(which Case) Error { return Error{Kind: ReasonCertInvalid, Case: which} }
	return []caseRow{
		{"no CA", noCA.Issue(named(nil)), nil, "", invalid(CaseNoAuthority), `"Between" signed another certificate but is not an authority`},
		{"CA without keyCertSign", mute.Issue(named(nil)), nil, "", invalid(CaseNoAuthority), "keyCertSign"},
		{"path length", short.Intermediate("Below", tlstest.P256).Issue(named(nil)), nil, "", invalid(CasePathLength), "path length"},
		{"name constraints", narrow.Issue(named(nil)), nil, "", invalid(CaseConstraint), "name constraints"},
		{"critical extension", root.Issue(critical), nil, "", invalid(CaseExtension), "critical extension 1.2.3"},
		{"SHA-1", root.Issue(form), nil, "", invalid(CaseForgeable), "which can be forged"},
		{"short key", root.Issue(weak), nil, "", invalid(CaseShortKey), "1024 bits"},
		{"CA that may not sign lists", listless.Issue(named(nil)), [][]byte{root.CRL(tlstest.CRL{}), listless.CRL(tlstest.CRL{})}, "", Error{Kind: ReasonCertInvalid, Case: CaseListUsage, Value: `"Between"`}, "cRLSign"},
		{"for clients", root.Issue(noServer), nil, "", Error{Kind: ReasonCertUsage}, "not meant for servers"},
		{"key for encryption", root.Issue(noSigning), nil, "", Error{Kind: ReasonCertUsage, Case: CaseKeyUsage}, "digitalSignature"},
	}
}

// Where nobody has configured an authority, any stranger may have a certificate. So no cure drops the name or
// takes that of the certificate.
func TestCasesBelowTheAuthoritiesOfTheSystem(t *testing.T) {
	root := tlstest.NewCA("Public Root", tlstest.P256)
	for name, row := range map[string]struct {
		pair *tlstest.Pair
		want Error
		text string
	}{
		"Common Name only": {root.Issue(tlstest.Leaf{CommonName: testName}), Error{Kind: ReasonCertNameMismatch, Case: CaseNoName, Value: `"db.test"`}, "Common Name"},
		"another name":     {root.Issue(tlstest.Leaf{DNSNames: []string{"stranger.example"}}), Error{Kind: ReasonCertNameMismatch}, "stranger.example"},
		"another wildcard": {root.Issue(tlstest.Leaf{DNSNames: []string{"*.stranger.example"}}), Error{Kind: ReasonCertNameMismatch}, "stranger.example"},
		"host of address":  {root.Issue(tlstest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}), Error{Kind: ReasonCertNameMismatch, Case: CaseHostFits}, "127.0.0.1"},
		"another CA":       {tlstest.NewCA("Private Root", tlstest.P256).Issue(named(nil)), Error{Kind: ReasonCertUnknownAuthority}, `not trusted: "Private Root"; trusted here: 1 authority of the system`},
	} {
		t.Run(name, func(t *testing.T) {
			addr := peertest.Start(t, peertest.Presents(row.pair)).Addr
			d, err := newDialer(Config{Addrs: []string{addr}, ServerName: testName}, func() (*x509.CertPool, error) { return root.Pool(), nil })
			if err != nil {
				t.Fatal(err)
			}
			failure := dialFailure(t, d)
			if failure.Kind != row.want.Kind || failure.Case != row.want.Case || failure.Value != row.want.Value || !strings.Contains(failure.Text, row.text) {
				t.Errorf("%+v", failure)
			}
		})
	}
}

// A public authority is no better where it is configured, by itself or with the others of the system.
func TestCasesBelowConfiguredPublicAuthorities(t *testing.T) {
	public, own := tlstest.NewCA("Public Root", tlstest.P256), tlstest.NewCA("Own Root", tlstest.P256)
	between := public.Intermediate("Public Intermediate", tlstest.P256)
	bundle := string(public.PEM()) + string(own.PEM())
	other, none := tlstest.Leaf{DNSNames: []string{"other.test"}}, tlstest.Leaf{CommonName: testName}
	for name, row := range map[string]struct {
		pair *tlstest.Pair
		pem  string
		want Case
	}{
		"public, another name":          {public.Issue(other), bundle, ""},
		"public, no name":               {public.Issue(none), bundle, CaseNoName},
		"public, an intermediate alone": {between.Issue(other), string(between.PEM()), ""},
		"own, another name":             {own.Issue(other), bundle, CaseOtherName},
		"own, no name":                  {own.Issue(none), bundle, CaseNoNameOwnCA},
	} {
		t.Run(name, func(t *testing.T) {
			addr := peertest.Start(t, peertest.Presents(row.pair)).Addr
			d, err := newDialer(Config{Addrs: []string{addr}, ServerName: testName, CAPEM: row.pem}, func() (*x509.CertPool, error) { return public.Pool(), nil })
			if err != nil {
				t.Fatal(err)
			}
			if failure := dialFailure(t, d); failure.Kind != ReasonCertNameMismatch || failure.Case != row.want {
				t.Errorf("%+v", failure)
			}
		})
	}
}

func TestCasesOfClientCertificates(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	between := root.Intermediate("Intermediate", tlstest.P256)
	oldBetween := root.Authority(tlstest.Authority{Name: "Old", Template: gone})
	clients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	client := tlstest.Leaf{CommonName: "app", ExtKeyUsage: clients}
	ended, early := client, client
	ended.NotAfter, early.NotBefore = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	upstream := &verification{chains: [][]*x509.Certificate{{between.Issue(tlstest.Leaf{}).Leaf, between.Cert, root.Cert}}}
	for name, row := range map[string]struct {
		pair     *tlstest.Pair
		unlisted bool
		alert    uint8
		want     Case
		value    string
		text     string
	}{
		"expired":                           {root.Issue(ended), false, 42, CaseClientExpired, "", `"app", which expired `},
		"expired intermediate":              {oldBetween.Issue(client), true, 48, CaseClientExpired, "", `"app", whose authority "Old" expired `},
		"not yet valid":                     {root.Issue(early), false, 46, CaseClientEarly, "", `"app", which is not valid before `},
		"for servers":                       {root.Issue(tlstest.Leaf{CommonName: "app"}), false, 43, CaseClientUsage, "", `"app", which is not meant for clients (extended key usage: serverAuth)`},
		"issuer not in the list":            {root.Issue(client), true, 42, CaseClientIssuer, `"Test Root"`, `(issued by "Test Root"), whose issuer is not in the list`},
		"issuer listed":                     {root.Issue(client), false, 48, CaseClientListed, `"Test Root"`, "although its issuer is in the list"},
		"issuer not trusted":                {root.Issue(client), false, 48, CaseClientIssuer, `"Test Root"`, "whose issuer it does not trust"},
		"intermediate missing, by its name": {root.Intermediate("Issuing CA", tlstest.P256).Issue(client).WithChain(), true, 48, CaseClientChain, `"Issuing CA"`, "came without"},
		"intermediate missing":              {between.Issue(client).WithChain(), true, 48, CaseClientChain, `"Intermediate"`, `came without the certificate of its authority "Intermediate"`},
		"revoked":                           {root.Issue(client), false, 44, CaseClientRevoked, "", "has been revoked"},
		"expired for the upstream":          {root.Issue(client), false, 45, CaseClientDates, "", "valid by the clock of this machine"},
		"bad":                               {root.Issue(client), false, 42, "", "", `rejected the client certificate "app": TLS alert 42`},
		"no other alert":                    {root.Issue(client), false, 40, "", "", "TLS alert 40"},
		"denied":                            {root.Issue(client), false, 49, "", "", "TLS alert 49"},
	} {
		t.Run(name, func(t *testing.T) {
			pair := row.pair.TLS()
			auth := &clientAuth{configured: &tls.Certificate{Certificate: pair.Certificate, Leaf: row.pair.Leaf}, upstream: upstream, requested: true, listed: !row.unlisted && row.want == CaseClientListed, unlisted: row.unlisted}
			found := alertFailure(&net.OpError{Op: "remote error", Err: sentAlert(row.alert)}, auth)
			if found == nil || found.reason != ReasonClientCertRejected || found.which != row.want || found.value != row.value || !strings.Contains(found.text, row.text) {
				t.Fatalf("%+v", found)
			}
			t.Log(found.text)
			checkSafe(t, found.text)
		})
	}
}

func TestKeyThatFitsAnotherCertificate(t *testing.T) {
	root := tlstest.NewCA("Test Root", tlstest.P256)
	client := root.Issue(tlstest.Leaf{CommonName: "app", ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	dir := t.TempDir()
	for name, row := range map[string]struct {
		chain []byte
		want  string
	}{
		"upside down":    {append(root.PEM(), client.CertPEM()...), "fits certificate 2 of "},
		"another one":    {root.PEM(), `does not fit the first certificate "Test Root" of `},
		"in combination": {root.Issue(tlstest.Leaf{CommonName: "app"}).CertPEM(), `does not fit the first certificate "app" of `},
	} {
		cert := peertest.WriteFile(t, filepath.Join(dir, "client.crt"), row.chain, 0o600)
		key := peertest.WriteFile(t, filepath.Join(dir, "client.key"), client.KeyPEM(), 0o600)
		_, err := NewDialer(Config{Addrs: []string{"db.test:6432"}, CAPEM: string(root.PEM()), CertFile: cert, KeyFile: key})
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), cert) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}
