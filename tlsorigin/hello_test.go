package tlsorigin

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// TestHello: the sizes are those of Go 1.26 and matter in relation to a TCP segment, which is 1448 bytes on
// most paths.
func TestHello(t *testing.T) {
	const name = "database.prod.svc.cluster.test" // of 30 characters
	hybridShares := []tls.CurveID{tls.X25519MLKEM768, tls.X25519}
	everything := slices.Concat(hybridGroups(), classicalGroups())
	for _, row := range []struct {
		name   string
		change func(*Config)
		bytes  int
		groups []tls.CurveID
		shares []tls.CurveID
	}{
		{"default", func(*Config) {}, 1531, everything, hybridShares},
		{"TLS 1.3 alone", func(c *Config) { c.MinVersion = tls.VersionTLS13 }, 1511, everything, hybridShares},
		{"require", func(c *Config) { c.PostQuantum = PostQuantumRequire }, 1467, hybridGroups(), hybridShares[:1]},
		{"off", func(c *Config) { c.PostQuantum = PostQuantumOff }, 305, classicalGroups(), classicalGroups()[:1]},
		{"one hybrid", func(c *Config) { c.Groups = hybridShares[:1] }, 1483, hybridShares[:1], hybridShares[:1]},
		{"P-256 alone", func(c *Config) { c.Groups = []tls.CurveID{tls.CurveP256} }, 332, []tls.CurveID{tls.CurveP256}, []tls.CurveID{tls.CurveP256}},
		{
			"P-256 first", func(c *Config) { c.Groups = []tls.CurveID{tls.CurveP256, tls.X25519} }, 301,
			[]tls.CurveID{tls.X25519, tls.CurveP256},
			[]tls.CurveID{tls.X25519},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), func(c *Config) {
				c.ServerName = name
				row.change(c)
			}, "127.0.0.1:6432")
			hello, err := d.Hello()
			if err != nil {
				t.Fatal(err)
			}
			if hello.ServerName != name || !slices.Equal(hello.Protocols, []string{"postgresql"}) {
				t.Errorf("names %q and protocols %q", hello.ServerName, hello.Protocols)
			}
			if hello.Bytes != row.bytes || !slices.Equal(hello.Groups, row.groups) || !slices.Equal(hello.KeyShares, row.shares) {
				t.Errorf("got %d bytes, %v with shares of %v, want %d, %v, %v",
					hello.Bytes, hello.Groups, hello.KeyShares, row.bytes, row.groups, row.shares)
			}
		})
	}
}

func TestHelloToAnIPAddressHasNoServerName(t *testing.T) {
	d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), func(c *Config) { c.ServerName = "192.0.2.1" }, "127.0.0.1:6432")
	if hello, err := d.Hello(); err != nil || hello.ServerName != "" || hello.Bytes != 1492 {
		t.Errorf("got %+v, %v", hello, err)
	}
}

// TestDamagedHellosAreErrors: every prefix, and every byte changed, either is read or is an error, never a
// panic.
func TestDamagedHellosAreErrors(t *testing.T) {
	var sink helloSink
	_ = tls.Client(&sink, &tls.Config{ServerName: testName, NextProtos: []string{protocolName}}).Handshake()
	if _, err := parseHello(sink.record); err != nil {
		t.Fatal(err)
	}
	for i := range sink.record {
		if _, err := parseHello(sink.record[:i]); err == nil {
			t.Errorf("the first %d bytes are taken for a whole", i)
		}
		damaged := slices.Clone(sink.record)
		damaged[i] ^= 0xff
		_, _ = parseHello(damaged)
	}
}

func TestConfigOfKeyExchange(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, row := range []struct {
		name   string
		change func(*Config)
		want   []string // each in one problem
	}{
		{"unknown words", func(c *Config) { c.PostQuantum, c.Negotiation = "maybe", "starttls" }, []string{
			`PostQuantum "maybe": want prefer, require or off`, `Negotiation "starttls": want postgres or direct`,
		}},
		{"unknown group", func(c *Config) { c.Groups = []tls.CurveID{tls.X25519, 21} }, []string{`Groups "CurveID(21)": is not a group`}},
		{"twice", func(c *Config) { c.Groups = []tls.CurveID{tls.CurveP256, tls.X25519, tls.CurveP256} }, []string{`Groups "P-256": is there twice`}},
		{"require with classical groups", func(c *Config) {
			c.PostQuantum, c.Groups = PostQuantumRequire, []tls.CurveID{tls.X25519MLKEM768, tls.X25519}
		}, []string{`Groups "X25519": is classical although PostQuantum is require`}},
		{"off with hybrid groups", func(c *Config) {
			c.PostQuantum, c.Groups = PostQuantumOff, []tls.CurveID{tls.SecP256r1MLKEM768, tls.X25519}
		}, []string{`Groups "SecP256r1MLKEM768": is a hybrid group although PostQuantum is off`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := Config{Addrs: []string{"db.test:1"}, CAPEM: string(ca.PEM())}
			row.change(&cfg)
			_, err := NewDialer(cfg)
			if err == nil {
				t.Fatal("accepted")
			}
			if got := strings.Split(err.Error(), "\n"); len(got) != len(row.want) {
				t.Errorf("got %q, want %d problems", got, len(row.want))
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

// TestSwitchedOffHybrids: what the environment takes away is noticed on a real hello.
func TestSwitchedOffHybrids(t *testing.T) {
	t.Setenv("GODEBUG", "tlsmlkem=0")
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	for _, row := range []struct {
		name   string
		change func(*Config)
		want   string // empty: it is accepted
	}{
		{"require", func(c *Config) { c.PostQuantum = PostQuantumRequire }, "PostQuantum \"require\": cannot be honoured"},
		{"require with groups", func(c *Config) {
			c.PostQuantum, c.Groups = PostQuantumRequire, []tls.CurveID{tls.X25519MLKEM768}
		}, "PostQuantum \"require\": cannot be honoured"},
		{"hybrid groups alone", func(c *Config) { c.Groups = []tls.CurveID{tls.X25519MLKEM768} }, "Groups \"X25519MLKEM768\": no ClientHello can be made of it"},
		{"prefer", func(*Config) {}, ""},
		{"off", func(c *Config) { c.PostQuantum = PostQuantumOff }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := Config{Addrs: []string{"db.test:1"}, CAPEM: string(ca.PEM())}
			row.change(&cfg)
			d, err := NewDialer(cfg)
			switch {
			case row.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case row.want == "" && (d.exchange.hybrid || d.exchange.classical != nil):
				t.Errorf("a fallback is planned for a hello without hybrid: %+v", d.exchange)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v, want only %q", err, row.want)
			}
		})
	}
}

func TestGroupWarnings(t *testing.T) {
	for _, row := range []struct {
		groups []tls.CurveID
		want   string // empty: none
	}{
		{nil, ""},
		{[]tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256}, ""},
		{[]tls.CurveID{tls.CurveP384, tls.CurveP521}, ""},
		{[]tls.CurveID{tls.CurveP256, tls.X25519}, "the key share is for X25519, and P-256 is merely allowed"},
	} {
		d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), func(c *Config) { c.Groups = row.groups }, "127.0.0.1:6432")
		warnings := warningTexts(d)
		if (row.want == "") != (warnings == "") || !strings.Contains(warnings, row.want) {
			t.Errorf("%v: warnings %q, want %q", row.groups, warnings, row.want)
		}
	}
}
