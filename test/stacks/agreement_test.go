//go:build stacks

package stacks

import (
	"crypto/tls"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// agreementSites differ in versions, cipher suites and groups, and in what stands in the way.
func agreementSites() []site {
	version := func(v uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }
	}
	group := func(g tls.CurveID) func(*tls.Config) {
		return func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{g} }
	}
	suite := func(s uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{s} }
	}
	rsa := chain(tlstest.RSA2048, tlstest.RSA2048)
	return []site{
		{name: "only TLS 1.0", chain: rsa, config: version(tls.VersionTLS10)},
		{name: "only TLS 1.1", chain: rsa, config: version(tls.VersionTLS11)},
		{name: "only TLS 1.2", config: version(tls.VersionTLS12)},
		{name: "only TLS 1.3", config: version(tls.VersionTLS13)},
		{name: "only ECDHE with AES-CBC", chain: rsa, config: suite(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)},
		{name: "only RSA key exchange", chain: rsa, config: suite(tls.TLS_RSA_WITH_AES_128_GCM_SHA256)},
		{name: "only DHE", chain: rsa, real: &real{settings: []string{
			"ssl_max_protocol_version = 'TLSv1.2'", "ssl_ciphers = 'DHE-RSA-AES128-GCM-SHA256'",
		}}},
		{
			name: "only SHA-1 in the handshake", chain: rsa, real: &real{
				openssl:  "SignatureAlgorithms = RSA+SHA1",
				settings: []string{"ssl_max_protocol_version = 'TLSv1.2'", "ssl_ciphers = 'ALL:@SECLEVEL=0'"},
			},
		},
		{name: "only X25519MLKEM768", config: group(tls.X25519MLKEM768)},
		{name: "only X25519", config: group(tls.X25519)},
		{name: "only P-256", config: group(tls.CurveP256)},
		{name: "only P-384", config: group(tls.CurveP384)},
		{name: "only P-521", config: group(tls.CurveP521)},
		{name: "PostgreSQL 15 as Debian installs it", real: &real{}},
		{name: "large hellos are swallowed", box: box{above: 1400, does: boxSwallows}},
		{name: "large hellos are reset", box: box{above: 1400, does: boxResets}},
	}
}
