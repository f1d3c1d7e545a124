package stacks

func javaStacks() []Stack {
	const (
		tls13    = "https://bugs.openjdk.org/browse/JDK-8245485"
		jep332   = "https://openjdk.org/jeps/332"
		xdh      = "https://bugs.java.com/bugdatabase/view_bug?bug_id=8224520"
		eddsa    = "https://bugs.java.com/bugdatabase/view_bug?bug_id=8254709"
		disabled = "https://bugs.openjdk.org/browse/JDK-8202343"
		rsaKex   = "https://bugs.openjdk.org/browse/JDK-8245545"
		path     = "PKIX path building failed: unable to find valid certification path to requested target"
	)
	const alert = "javax.net.ssl.SSLHandshakeException: Received fatal alert: handshake_failure"
	nist := []string{"P-256", "P-384", "P-521"}
	cells := func(more map[Cause]Cell) map[Cause]Cell {
		cells := map[Cause]Cell{
			NoCommonVersion: reported("Received fatal alert: protocol_version, or "+
				"The server selected protocol version TLS10 is not accepted by client preferences", disabled),
			NoCommonCipher: reported(alert, jep332),
			NoCommonGroup:  reported(alert, jep332),
			NotSent:        reported(path, jep332),
		}
		for cause, cell := range more {
			cells[cause] = cell
		}
		return cells
	}
	noEdDSA := map[Cause]Cell{
		LeafEd25519: reported(alert, eddsa), IssuerEd25519: reported(path, eddsa),
	}
	return []Stack{
		{
			Name: "Java", Versions: "8 before 8u341", Drivers: "pgjdbc, R2DBC",
			TLS: []uint16{TLS12}, Suites: everySuite(), Groups: nist,
			Source: tls13, Cells: cells(noEdDSA),
		},
		{
			Name: "Java", Versions: "11", Drivers: "pgjdbc, R2DBC",
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(), Groups: nist,
			Source: xdh, Cells: cells(noEdDSA),
		},
		{
			Name: "Java", Versions: "17, 21", Drivers: "pgjdbc, R2DBC",
			TLS: []uint16{TLS12, TLS13}, Suites: everySuite(), Groups: append([]string{"X25519"}, nist...),
			Source: eddsa, Cells: cells(nil),
		},
		{
			Name: "Java", Versions: "25", Drivers: "pgjdbc, R2DBC",
			TLS: []uint16{TLS12, TLS13}, Suites: []Suites{AEAD, CBC, DHE}, Groups: append([]string{"X25519"}, nist...),
			Source: rsaKex, Cells: cells(nil),
		},
	}
}
