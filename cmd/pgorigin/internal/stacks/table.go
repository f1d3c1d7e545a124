package stacks

import "slices"

// Table returns all stacks: those that were measured, and those that cannot be had everywhere.
func Table() []Stack {
	const ed25519 = "https://github.com/jbg/tokio-postgres-rustls/issues/37"
	measured := measuredStacks()
	for i := range measured {
		if measured[i].Name == "libpq" { // the suite does not log in
			measured[i].Cells[BoundToEd25519] = reported("could not find digest for NID UNDEF", ed25519)
		}
	}
	return slices.Concat(measured, platformStacks(), otherStacks())
}

// platformStacks are the TLS of Windows and of macOS. .NET uses them, and so does Rust's native-tls.
func platformStacks() []Stack {
	const (
		windows   = "https://learn.microsoft.com/en-us/windows/win32/secauthn/"
		curves    = windows + "tls-elliptic-curves-in-windows-10-1607-and-later"
		versions  = windows + "protocols-in-tls-ssl--schannel-ssp-"
		known     = "https://learn.microsoft.com/en-us/windows/win32/seccng/cng-named-elliptic-curves"
		noEd25519 = "https://github.com/dotnet/runtime/issues/63174"
		apple     = "https://support.apple.com/en-us/103769"
		noTLS13   = "https://github.com/dotnet/runtime/issues/1979"
		noP521    = "https://github.com/ssllabs/ssllabs-scan/issues/411"

		common  = "The client and server cannot communicate, because they do not possess a common algorithm"
		distant = "The certificate was not trusted"
		drivers = "Npgsql, tokio-postgres with native-tls"
	)
	groups := []string{"X25519", "P-256", "P-384"}
	schannel := map[Cause]Cell{
		LeafEd25519: reported("", noEd25519), IssuerEd25519: reported("", noEd25519),
		LeafP521: reported(common, curves), IssuerP521: connects(known), NoCommonGroup: reported(common, curves),
		NoCommonVersion: reported(common, versions),
	}
	return []Stack{
		{
			Name: "Schannel", Versions: "of Windows 10 and Server 2019", Drivers: drivers,
			TLS: []uint16{TLS10, TLS11, TLS12}, Suites: everySuite(), Groups: groups, Source: curves,
			Cells: schannel,
		},
		{
			Name: "Schannel", Versions: "of Windows 11 and Server 2022", Drivers: drivers,
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(), Groups: groups, Source: versions, Cells: schannel,
		},
		{
			Name: "Secure Transport", Versions: "of macOS and iOS", Drivers: drivers,
			TLS: []uint16{TLS10, TLS11, TLS12}, Suites: []Suites{AEAD, CBC, RSA}, Groups: groups,
			Source: noP521, Cells: map[Cause]Cell{
				NoCommonVersion: reported("bad protocol version", noTLS13),
				NoCommonGroup:   reported("", noP521), LeafP521: reported("", noP521),
				NameInCN: reported(distant, apple), RSASmall: reported(distant, apple),
				SHA1RSA: reported(distant, apple), SHA1ECDSA: reported(distant, apple),
				LongValidity: reported(distant, apple), NoServerAuth: reported(distant, apple),
			},
		},
		{
			Name: ".NET", Versions: "on Linux", Drivers: "Npgsql",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC}, Groups: append(groups, "P-521"),
			Source: noEd25519, Cells: map[Cause]Cell{
				LeafEd25519: reported("", noEd25519), IssuerEd25519: reported("", noEd25519),
			},
		},
	}
}

// otherStacks are old ones, and some that were not at hand.
func otherStacks() []Stack {
	const (
		openssl102 = "https://docs.openssl.org/1.0.2/man1/ciphers/"
		crossSign  = "https://www.openssl.org/blog/blog/2021/09/13/LetsEncryptRootCertExpire/"
		java13     = "https://bugs.openjdk.org/browse/JDK-8245485"
		eddsa      = "https://bugs.java.com/bugdatabase/view_bug?bug_id=8254709"
		noP521     = "https://github.com/google/conscrypt/issues/681"
		noEd25519  = "https://github.com/oven-sh/bun/pull/32235"
		alert      = "handshake_failure"
	)
	nist := []string{"P-256", "P-384", "P-521"}
	return []Stack{
		{
			Name: "OpenSSL", Versions: "1.0.2", Drivers: "libpq and others on old systems",
			TLS: []uint16{TLS10, TLS11, TLS12}, Suites: everySuite(), Groups: nist, Source: openssl102,
			Cells: map[Cause]Cell{
				NoCommonVersion: reported("tlsv1 alert protocol version", openssl102),
				LeafEd25519:     reported("", openssl102), IssuerEd25519: reported("", openssl102),
				ExpiredExtra: reported("certificate has expired", crossSign),
			},
		},
		{
			Name: "Java", Versions: "8 before 8u341", Drivers: "pgjdbc, R2DBC",
			TLS: []uint16{TLS12}, Suites: everySuite(), Groups: nist, Source: java13,
			Cells: map[Cause]Cell{
				NoCommonVersion: reported("Received fatal alert: protocol_version", java13),
				NoCommonGroup:   reported("Received fatal alert: "+alert, java13),
				LeafEd25519:     reported("", eddsa), IssuerEd25519: reported("", eddsa),
			},
		},
		{
			Name: "BoringSSL", Drivers: "postgres-nio (Swift), netty-tcnative, old Bun",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC, RSA},
			Groups: []string{"X25519", "P-256", "P-384"}, Source: noP521, Cells: map[Cause]Cell{
				LeafP521: reported("", noP521), NoCommonGroup: reported("", noP521),
				LeafEd25519: reported("", noEd25519),
			},
		},
	}
}

func everySuite() []Suites { return []Suites{AEAD, CBC, DHE, RSA} }
