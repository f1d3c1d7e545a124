package stacks

import "slices"

func otherStacks() []Stack {
	return slices.Concat(boringStacks(), platformStacks(), erlangStacks(), gnutlsStacks())
}

func boringStacks() []Stack {
	const (
		noP521    = "https://github.com/google/conscrypt/issues/681"
		noEd25519 = "https://github.com/oven-sh/bun/pull/32235"
		verify    = "https://github.com/oven-sh/bun/pull/16700"
	)
	const alert = "SSLV3_ALERT_HANDSHAKE_FAILURE"
	return []Stack{{
		Name: "BoringSSL", Drivers: "Bun, postgres-nio (Swift), netty-tcnative",
		TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC, RSA}, Groups: []string{"X25519", "P-256", "P-384"},
		Source: noP521, Cells: map[Cause]Cell{
			LeafP521:        reported(alert, noP521),
			LeafEd25519:     reported(alert+"; Bun says ERR_POSTGRES_CONNECTION_CLOSED", noEd25519),
			RSAPSSKey:       reported(alert, verify),
			NoCommonGroup:   reported(alert, noP521),
			NoCommonVersion: reported("TLSV1_ALERT_PROTOCOL_VERSION", noP521),
			NoCommonCipher:  reported(alert, noP521),
		},
	}}
}

// platformStacks are the TLS of Windows and of macOS. .NET uses them, and so does Rust's native-tls.
func platformStacks() []Stack {
	const (
		windows   = "https://learn.microsoft.com/en-us/windows/win32/secauthn/"
		curves    = windows + "tls-elliptic-curves-in-windows-10-1607-and-later"
		versions  = windows + "protocols-in-tls-ssl--schannel-ssp-"
		noEd25519 = "https://github.com/dotnet/runtime/issues/63174"
		apple     = "https://support.apple.com/en-us/103769"
		noTLS13   = "https://github.com/dotnet/runtime/issues/1979"
		noP521    = "https://github.com/ssllabs/ssllabs-scan/issues/411"
	)
	const common = "The client and server cannot communicate, because they do not possess a common algorithm"
	const drivers = "Npgsql, tokio-postgres with native-tls"
	groups := []string{"X25519", "P-256", "P-384"}
	schannel := map[Cause]Cell{
		LeafEd25519:     reported("The message received was unexpected or badly formatted", noEd25519),
		IssuerEd25519:   reported("The certificate chain was issued by an authority that is not trusted", noEd25519),
		LeafP521:        reported(common, curves),
		NoCommonGroup:   reported(common, curves),
		NoCommonVersion: reported(common, versions),
	}
	return []Stack{
		{
			Name: "Schannel", Versions: "of Windows 10 and Server 2019", Drivers: drivers,
			TLS: []uint16{TLS10, TLS11, TLS12}, Suites: everySuite(), Groups: groups, Source: curves, Cells: schannel,
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
				NoCommonGroup:   reported("handshake failure", noP521),
				LeafP521:        reported("handshake failure", noP521),
				NameInCN:        reported("The certificate was not trusted", apple),
				RSASmall:        reported("The certificate was not trusted", apple),
				SHA1Signature:   reported("The certificate was not trusted", apple),
				LongValidity:    reported("The certificate was not trusted", apple),
				NoServerAuth:    reported("The certificate was not trusted", apple),
			},
		},
		{
			Name: ".NET with OpenSSL", Versions: "on Linux", Drivers: "Npgsql",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC}, Groups: classicalOpenSSL(),
			Source: noEd25519, Cells: map[Cause]Cell{
				LeafEd25519: reported("The remote certificate was rejected", noEd25519),
				LeafP521:    connects(openssl30), IssuerP521: connects(openssl30),
			},
		},
	}
}

func erlangStacks() []Stack {
	const (
		groups   = "https://github.com/processone/ejabberd/issues/4180"
		wildcard = "https://github.com/voltone/aws_rds_castore/issues/4"
	)
	return []Stack{{
		Name: "Erlang/OTP", Versions: "24 to 27", Drivers: "Postgrex, epgsql",
		TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC, DHE},
		Groups: []string{"X25519", "P-256", "P-384"}, Source: groups,
		Cells: map[Cause]Cell{
			Wildcard:      reported("Fatal - Handshake Failure {bad_cert,hostname_check_failed}", wildcard),
			NoCommonGroup: reported("SERVER ALERT: Fatal - Handshake Failure", groups),
		},
	}}
}

func gnutlsStacks() []Stack {
	const priorities = "https://www.gnutls.org/manual/html_node/Priority-Strings.html"
	return []Stack{{
		Name: "GnuTLS", Versions: "3.7", Drivers: "programs that link it",
		TLS: []uint16{TLS10, TLS11, TLS12, TLS13}, Suites: everySuite(), Groups: classicalOpenSSL(),
		Source: priorities, Cells: map[Cause]Cell{
			NoCommonVersion: reported("A TLS fatal alert has been received: Protocol version", priorities),
			NoCommonCipher:  reported("A TLS fatal alert has been received: Handshake failed", priorities),
			NoCommonGroup:   reported("A TLS fatal alert has been received: Handshake failed", priorities),
			SHA1Signature:   reported("The certificate chain uses insecure algorithm", priorities),
		},
	}}
}
