package stacks

func rustStacks() []Stack {
	const (
		webpkiTable = "https://github.com/rustls/webpki/issues/267"
		p521        = "https://github.com/rustls/rustls/issues/2536"
		sha512      = "https://github.com/rustls/rustls/issues/1335"
		version1    = "https://github.com/transact-rs/sqlx/issues/2886"
		isCA        = "https://github.com/jbg/tokio-postgres-rustls/issues/23"
		noProvider  = "https://github.com/block/buzz/issues/2666"
		postQuantum = "https://github.com/rustls/rustls/pull/2425"
		defaults    = "https://docs.rs/rustls/latest/rustls/manual/_04_features/index.html"
	)
	webpki := func(more map[Cause]Cell) map[Cause]Cell {
		cells := map[Cause]Cell{
			NoCommonVersion: reported("received fatal alert: ProtocolVersion", defaults),
			NoCommonCipher:  reported("received fatal alert: HandshakeFailure", defaults),
			NoCommonGroup:   reported("received fatal alert: HandshakeFailure", defaults),
			LeafIsCA:        reported("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", isCA),
			Version1:        reported("invalid peer certificate: Other(UnsupportedCertVersion)", version1),
			NameInCN:        reported("invalid peer certificate: NotValidForName", defaults),
			RSAPSSKey:       reported("received fatal alert: HandshakeFailure", defaults),
			RSASmall:        reported("invalid peer certificate: BadSignature", defaults),
			RSALarge:        reported("invalid peer certificate: BadSignature", defaults),
			SHA1Signature:   reported("invalid peer certificate: UnknownIssuer", webpkiTable),
			NotSent:         reported("invalid peer certificate: UnknownIssuer", defaults),
		}
		for cause, cell := range more {
			cells[cause] = cell
		}
		return cells
	}
	return []Stack{
		{
			Name: "rustls with ring", Versions: "0.21 to 0.23", Drivers: "sqlx, tokio-postgres, Deno",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD}, Groups: []string{"X25519", "P-256", "P-384"},
			Source: defaults,
			Cells: webpki(map[Cause]Cell{
				LeafP521:     reported("received fatal alert: HandshakeFailure", p521),
				IssuerP521:   reported("invalid peer certificate: UnknownIssuer", sha512),
				IssuerSHA512: reported("invalid peer certificate: UnknownIssuer", sha512),
			}),
		},
		{
			Name: "rustls with aws-lc-rs", Versions: "0.23", Drivers: "sqlx, tokio-postgres",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD},
			Groups: []string{"X25519MLKEM768", "X25519", "P-256", "P-384"},
			Source: postQuantum,
			Cells: webpki(map[Cause]Cell{
				HelloLost:    reported("Connection reset by peer, or a timeout", postQuantum),
				IssuerSHA512: reported("invalid peer certificate: UnknownIssuer", webpkiTable),
			}),
		},
		{
			Name: "rustls without a provider", Versions: "0.23", Drivers: "any",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD}, Groups: []string{"X25519", "P-256", "P-384"},
			Source: noProvider,
			Cells: map[Cause]Cell{Always: reported(
				"Could not automatically determine the process-level CryptoProvider from Rustls crate features",
				noProvider)},
		},
	}
}
