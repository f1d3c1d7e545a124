package stacks

func goStacks() []Stack {
	const (
		kyber    = "https://go.dev/doc/go1.23"
		mlkem    = "https://go.dev/doc/go1.24"
		go122    = "https://go.dev/doc/go1.22"
		sha1     = "https://go.dev/doc/go1.18"
		name     = "https://go.dev/doc/go1.15"
		large    = "https://go.dev/issue/61460"
		firewall = "https://github.com/hashicorp/terraform-provider-aws/issues/39311"
	)
	classical := []string{"X25519", "P-256", "P-384", "P-521"}
	modern := []Suites{AEAD, CBC}
	cells := func(more map[Cause]Cell) map[Cause]Cell {
		cells := map[Cause]Cell{
			NoCommonVersion: reported("remote error: tls: protocol version not supported", sha1),
			NoCommonCipher:  reported("remote error: tls: handshake failure", go122),
			NoCommonGroup:   reported("remote error: tls: handshake failure", go122),
			NameInCN:        reported("x509: certificate relies on legacy Common Name field, use SANs instead", name),
			RSALarge:        reported("tls: server sent certificate containing RSA key larger than 8192 bits", large),
			SHA1Signature: reported("x509: certificate signed by unknown authority (possibly because of "+
				`"x509: cannot verify signature: insecure algorithm SHA1-RSA")`, sha1),
			RSAPSSKey: reported("remote error: tls: handshake failure", name),
			NotSent:   reported("x509: certificate signed by unknown authority", name),
		}
		for cause, cell := range more {
			cells[cause] = cell
		}
		return cells
	}
	return []Stack{
		{
			Name: "Go", Versions: "1.20, 1.21", Drivers: "pgx, lib/pq",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC, RSA}, Groups: classical, Hello: 300,
			Source: go122, Cells: cells(nil),
		},
		{
			Name: "Go", Versions: "1.22", Drivers: "pgx, lib/pq",
			TLS: []uint16{TLS12, TLS13}, Suites: modern, Groups: classical, Hello: 290,
			Source: go122, Cells: cells(nil),
		},
		{
			Name: "Go", Versions: "1.23", Drivers: "pgx, lib/pq",
			TLS: []uint16{TLS12, TLS13}, Suites: modern, Groups: classical, Hello: 1520, // and a draft of ML-KEM
			Source: kyber, Cells: cells(map[Cause]Cell{
				HelloLost: reported("net/http: TLS handshake timeout, or connection reset by peer", firewall),
			}),
		},
		{
			Name: "Go", Versions: "1.24, 1.25", Drivers: "pgx, lib/pq",
			TLS: []uint16{TLS12, TLS13}, Suites: modern, Groups: append([]string{"X25519MLKEM768"}, classical...),
			Hello: 1518, Source: mlkem, Cells: cells(map[Cause]Cell{
				HelloLost: reported("net/http: TLS handshake timeout, or connection reset by peer", firewall),
			}),
		},
		{
			Name: "Go", Versions: "1.26", Drivers: "pgx, lib/pq",
			TLS: []uint16{TLS12, TLS13}, Suites: modern, Groups: append([]string{"X25519MLKEM768"}, classical...),
			Hello: 1522, Source: mlkem, Cells: cells(map[Cause]Cell{
				HelloLost: reported("net/http: TLS handshake timeout, or connection reset by peer", firewall),
			}),
		},
	}
}
