package stacks

import "slices"

// opensslStacks are the drivers and languages whose TLS is OpenSSL.
func opensslStacks() []Stack {
	return slices.Concat(libpqStacks(), pythonStacks(), nodeStacks())
}

// What OpenSSL offers by default.
func classicalOpenSSL() []string { return []string{"X25519", "P-256", "P-384", "P-521"} }

func everySuite() []Suites { return []Suites{AEAD, CBC, DHE, RSA} }

const (
	openssl102 = "https://docs.openssl.org/1.0.2/man3/"
	openssl111 = "https://docs.openssl.org/1.1.1/man3/SSL_CTX_set1_curves/"
	openssl30  = "https://docs.openssl.org/3.0/man3/SSL_CTX_set_security_level/"
	openssl35  = "https://github.com/openssl/openssl/blob/openssl-3.5.0/CHANGES.md"
	boundEd    = "https://github.com/jbg/tokio-postgres-rustls/issues/37"
	crossSign  = "https://www.openssl.org/blog/blog/2021/09/13/LetsEncryptRootCertExpire/"
)

func libpqStacks() []Stack {
	const verifyFailed = "SSL error: certificate verify failed"
	const drivers = "psycopg, ruby-pg, PHP, Perl"
	cells := func(more map[Cause]Cell) map[Cause]Cell {
		cells := map[Cause]Cell{
			NoCommonVersion: reported("SSL error: tlsv1 alert protocol version", openssl30),
			NoCommonCipher:  reported("SSL error: sslv3 alert handshake failure", openssl30),
			NoCommonGroup:   reported("SSL error: sslv3 alert handshake failure", openssl30),
			HelloLost:       reported("timeout expired, or SSL SYSCALL error: EOF detected", openssl35),
			RSASmall:        reported("SSL error: certificate verify failed, or ee key too small", openssl30),
			SHA1Signature:   reported(verifyFailed+" (CA signature digest algorithm too weak)", openssl30),
			NotSent:         reported(verifyFailed, openssl30),
			BoundToEd25519:  reported("could not find digest for NID UNDEF", boundEd),
		}
		for cause, cell := range more {
			cells[cause] = cell
		}
		return cells
	}
	return []Stack{
		{
			Name: "libpq with OpenSSL", Versions: "1.0.2", Drivers: drivers,
			TLS: []uint16{TLS10, TLS11, TLS12}, Suites: everySuite(), Groups: []string{"P-256", "P-384", "P-521"},
			Source: openssl102, Cells: cells(map[Cause]Cell{
				LeafEd25519:   reported("SSL error: sslv3 alert handshake failure", openssl102),
				IssuerEd25519: reported(verifyFailed, openssl102),
				RSAPSSKey:     reported("SSL error: sslv3 alert handshake failure", openssl102),
				ExpiredExtra:  reported(verifyFailed+" (certificate has expired)", crossSign),
				RSASmall:      connects(openssl102),
				SHA1Signature: connects(openssl102),
			}),
		},
		{
			Name: "libpq with OpenSSL", Versions: "1.1.1", Drivers: drivers,
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(), Groups: classicalOpenSSL(),
			Source: openssl111, Cells: cells(nil),
		},
		{
			Name: "libpq with OpenSSL", Versions: "3.0 to 3.4", Drivers: drivers,
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(), Groups: classicalOpenSSL(),
			Source: openssl30, Cells: cells(nil),
		},
		{
			Name: "libpq with OpenSSL", Versions: "3.5", Drivers: drivers,
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(),
			Groups: append([]string{"X25519MLKEM768"}, classicalOpenSSL()...),
			Source: openssl35, Cells: cells(nil),
		},
	}
}

func pythonStacks() []Stack {
	const (
		python313 = "https://github.com/python/cpython/issues/107361"
		akid      = "https://github.com/python/cpython/issues/138193"
		wildcard  = "https://docs.openssl.org/3.0/man3/X509_check_host/"
		failed    = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
		version   = "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version"
		handshake = "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure"
	)
	cells := func(more map[Cause]Cell) map[Cause]Cell {
		cells := map[Cause]Cell{
			NoCommonVersion:    reported(version, openssl30),
			NoCommonCipher:     reported(handshake, openssl30),
			NoCommonGroup:      reported(handshake, openssl30),
			RSASmall:           reported(failed+": EE certificate key too weak", openssl30),
			SHA1Signature:      reported(failed+": CA signature digest algorithm too weak", openssl30),
			NotSent:            reported(failed+": unable to get local issuer certificate", openssl30),
			UnderscoreWildcard: reported(failed+": Hostname mismatch", wildcard),
		}
		for cause, cell := range more {
			cells[cause] = cell
		}
		return cells
	}
	return []Stack{
		{
			Name: "Python", Versions: "3.10 to 3.12", Drivers: "asyncpg, pg8000",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC, DHE}, Groups: classicalOpenSSL(),
			Source: openssl30, Cells: cells(nil),
		},
		{
			Name: "Python", Versions: "3.13, 3.14", Drivers: "asyncpg, pg8000",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC, DHE}, Groups: classicalOpenSSL(),
			Source: python313, Cells: cells(map[Cause]Cell{
				LaxAuthority: reported(failed+": Missing Authority Key Identifier, or "+
					"CA cert does not include key usage extension", akid),
				Version1: reported(failed+": Missing Authority Key Identifier", akid),
			}),
		},
	}
}

func nodeStacks() []Stack {
	const (
		node24 = "https://nodejs.org/en/blog/migrations/v22-to-v24"
		node   = "https://nodejs.org/api/tls.html"
	)
	cells := func(more map[Cause]Cell) map[Cause]Cell {
		cells := map[Cause]Cell{
			NoCommonVersion: reported("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", node),
			NoCommonCipher:  reported("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", node),
			NoCommonGroup:   reported("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", node),
			NotSent:         reported("unable to verify the first certificate", node),
		}
		for cause, cell := range more {
			cells[cause] = cell
		}
		return cells
	}
	return []Stack{
		{
			Name: "Node", Versions: "16", Drivers: "node-postgres, postgres.js",
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(), Groups: classicalOpenSSL(),
			Source: node, Cells: cells(nil),
		},
		{
			Name: "Node", Versions: "18, 20, and 22 before 22.20", Drivers: "node-postgres, postgres.js",
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(), Groups: classicalOpenSSL(),
			Source: node, Cells: cells(nil),
		},
		{
			Name: "Node", Versions: "24", Drivers: "node-postgres, postgres.js",
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(),
			Groups: append([]string{"X25519MLKEM768"}, classicalOpenSSL()...),
			Source: node24, Cells: cells(map[Cause]Cell{
				HelloLost: reported("read ECONNRESET, or Client network socket disconnected", node24),
				RSASmall:  reported("ERR_SSL_EE_KEY_TOO_SMALL", node24),
			}),
		},
	}
}
