package tlsorigin

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// configErrors returns every *ConfigError that err joins.
func configErrors(t *testing.T, err error) []*ConfigError {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %v, want joined errors", err)
	}
	var problems []*ConfigError
	for _, err := range joined.Unwrap() {
		var problem *ConfigError
		if !errors.As(err, &problem) {
			t.Fatalf("%v is no *ConfigError", err)
		}
		problems = append(problems, problem)
	}
	return problems
}

// warningTexts returns the warnings of d, one a line.
func warningTexts(d *Dialer) string {
	var texts []string
	for _, w := range d.Warnings() {
		texts = append(texts, w.String())
	}
	return strings.Join(texts, "\n")
}

type configProblem struct {
	name   string
	change func(*Config)
	field  string
	wants  []string
}

func TestConfigProblems(t *testing.T) {
	good := string(tlstest.NewCA("Test Root", tlstest.P256).PEM())
	for _, row := range slices.Concat(placeProblems(), caProblems(t), clientProblems(t)) {
		t.Run(row.name, func(t *testing.T) {
			cfg := Config{Addrs: []string{"db.test:6432"}, CAPEM: good}
			row.change(&cfg)
			_, err := NewDialer(cfg)
			if err == nil {
				t.Fatal("accepted")
			}
			problems := configErrors(t, err)
			if len(problems) != 1 || problems[0].Field != row.field {
				t.Fatalf("got %v, want one problem of %s", err, row.field)
			}
			t.Log(err)
			for _, want := range row.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

func placeProblems() []configProblem {
	return []configProblem{
		{"no address", func(c *Config) { c.Addrs = nil }, "Addrs", []string{"at least one"}},
		{"no port", func(c *Config) { c.Addrs = []string{"db.test"} }, "Addrs", []string{`"db.test"`, "host:port"}},
		{"port is a name", func(c *Config) { c.Addrs = []string{"db.test:postgres"} }, "Addrs", []string{"1 to 65535"}},
		{"port 0", func(c *Config) { c.Addrs = []string{"db.test:0"} }, "Addrs", []string{"1 to 65535"}},
		{"port 65536", func(c *Config) { c.Addrs = []string{"db.test:65536"} }, "Addrs", []string{"1 to 65535"}},
		{"no host", func(c *Config) { c.Addrs = []string{":6432"} }, "Addrs", []string{"host is missing"}},
		{"bare IPv6", func(c *Config) { c.Addrs = []string{"::1:6432"} }, "Addrs", []string{"brackets"}},
		{"IPv6 zone as a name", func(c *Config) { c.Addrs = []string{"[fe80::1%eth0]:6432"} }, "Addrs", []string{"zone"}},
		{"leading zeros", func(c *Config) { c.Addrs = []string{"010.0.0.1:6432"} }, "Addrs", []string{"leading zeros"}},
		{"leading zeros although there is a ServerName", func(c *Config) { c.Addrs, c.ServerName = []string{"010.0.0.1:6432"}, "db" }, "Addrs", []string{"leading zeros"}},
		{"short IPv4", func(c *Config) { c.Addrs = []string{"127.1:6432"} }, "Addrs", []string{"usual spelling"}},
		{"hexadecimal IPv4", func(c *Config) { c.Addrs = []string{"0x7f000001:6432"} }, "Addrs", []string{"usual spelling"}},
		{"ServerName with zone", func(c *Config) { c.ServerName = "fe80::1%eth0" }, "ServerName", []string{"zone"}},
		{"ServerName with leading zeros", func(c *Config) { c.ServerName = "10.0.0.01" }, "ServerName", []string{"leading zeros"}},
		{"ServerName with port", func(c *Config) { c.ServerName = "db.test:6432" }, "ServerName", []string{"neither a DNS name"}},
		{"ServerName with wildcard", func(c *Config) { c.ServerName = "*.test" }, "ServerName", []string{"neither a DNS name"}},
		{"ServerName with umlaut", func(c *Config) { c.ServerName = "dätenbank.test" }, "ServerName", []string{"xn--"}},
		{"ServerName of dots", func(c *Config) { c.ServerName = "db..test" }, "ServerName", []string{"1 to 63"}},
		{"ServerName of one dot", func(c *Config) { c.ServerName = "." }, "ServerName", []string{"1 to 63"}},
		{"ServerName too long", func(c *Config) { c.ServerName = strings.Repeat("abcdefg.", 32) + "test" }, "ServerName", []string{"253"}},
		{"TLS 1.1", func(c *Config) { c.MinVersion = tls.VersionTLS11 }, "MinVersion", []string{"TLS 1.1", "want TLS 1.2"}},
		{"negative timeout", func(c *Config) { c.Timeout = -time.Second }, "Timeout", []string{"-1s"}},
	}
}

// fileIn returns a function that writes a file into a new directory.
func fileIn(t *testing.T) (dir string, file func(name string, data []byte) string) {
	dir = t.TempDir()
	return dir, func(name string, data []byte) string {
		return peertest.WriteFile(t, filepath.Join(dir, name), data, 0o600)
	}
}

func block(kind string, data []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
}

func caProblems(t *testing.T) []configProblem {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair := ca.Issue(tlstest.Leaf{CommonName: "app"})
	good := ca.PEM()
	dir, file := fileIn(t)
	indented := slices.Concat(good, []byte("  "), good)
	return []configProblem{
		{"two CAs", func(c *Config) { c.CAFile = file("ca", good) }, "CAPEM", []string{"only one"}},
		{"CA file missing", func(c *Config) { c.CAPEM, c.CAFile = "", dir+"/none" }, "CAFile", []string{dir + "/none", "no such file"}},
		{"CA file is a directory", func(c *Config) { c.CAPEM, c.CAFile = "", dir }, "CAFile", []string{dir, "is a directory"}},
		{"CA file empty", func(c *Config) { c.CAPEM, c.CAFile = "", file("empty", []byte("\n")) }, "CAFile", []string{"empty", "is empty"}},
		{"CA file without PEM", func(c *Config) { c.CAPEM, c.CAFile = "", file("text", []byte("hello")) }, "CAFile", []string{"text", "no PEM block"}},
		{"CA file in DER", func(c *Config) { c.CAPEM, c.CAFile = "", file("der", ca.Cert.Raw) }, "CAFile", []string{"looks like DER"}},
		{"CA file with a key", func(c *Config) { c.CAPEM, c.CAFile = "", file("key", slices.Concat(good, pair.KeyPEM())) }, "CAFile", []string{"block 2 is a private key"}},
		{"CA file with something else", func(c *Config) { c.CAPEM, c.CAFile = "", file("crl", block("X509 CRL", []byte("x"))) }, "CAFile", []string{`type "X509 CRL"`}},
		{"CA file with a bad block", func(c *Config) {
			c.CAPEM, c.CAFile = "", file("bad", slices.Concat(good, block("CERTIFICATE", []byte("x"))))
		}, "CAFile", []string{"block 2 is no readable"}},
		{"CA file cut", func(c *Config) { c.CAPEM, c.CAFile = "", file("cut", slices.Concat(good, good[:len(good)/2])) }, "CAFile", []string{"2 PEM blocks of which only 1"}},
		{"CA file indented", func(c *Config) { c.CAPEM, c.CAFile = "", file("indented", indented) }, "CAFile", []string{"indented"}},
		{"CA file too large", func(c *Config) { c.CAPEM, c.CAFile = "", file("large", make([]byte, maxFileSize+1)) }, "CAFile", []string{"larger than 4 MiB"}},
		{"CAPEM blank", func(c *Config) { c.CAPEM = " " }, "CAPEM", []string{"is empty"}},
	}
}

func clientProblems(t *testing.T) []configProblem {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair, other := ca.Issue(tlstest.Leaf{CommonName: "app"}), ca.Issue(tlstest.Leaf{CommonName: "other"})
	dir, file := fileIn(t)
	cert, key, err := pair.WriteFiles(dir, "client")
	if err != nil {
		t.Fatal(err)
	}
	encrypted := &pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")}
	return []configProblem{
		{"certificate without key", func(c *Config) { c.CertFile = cert }, "KeyFile", []string{"both or none"}},
		{"key without certificate", func(c *Config) { c.KeyFile = key }, "CertFile", []string{"both or none"}},
		{"certificate missing", func(c *Config) { c.CertFile, c.KeyFile = dir+"/none", key }, "CertFile", []string{dir + "/none", "no such file"}},
		{"certificate is the key", func(c *Config) { c.CertFile, c.KeyFile = key, key }, "CertFile", []string{"holds no certificate, only a key"}},
		{"key is the certificate", func(c *Config) { c.CertFile, c.KeyFile = cert, cert }, "KeyFile", []string{"holds no private key, but a block of type \"CERTIFICATE\""}},
		{"key of another certificate", func(c *Config) { c.CertFile, c.KeyFile = cert, file("other", other.KeyPEM()) }, "KeyFile", []string{"other", "client.crt", "does not fit"}},
		{"encrypted key", func(c *Config) {
			c.CertFile, c.KeyFile = cert, file("pkcs8", block("ENCRYPTED PRIVATE KEY", []byte("x")))
		}, "KeyFile", []string{"pkcs8", "is encrypted"}},
		{"encrypted key, old form", func(c *Config) { c.CertFile, c.KeyFile = cert, file("pkcs1", pem.EncodeToMemory(encrypted)) }, "KeyFile", []string{"is encrypted"}},
		{"damaged key", func(c *Config) { c.CertFile, c.KeyFile = cert, file("damaged", block("PRIVATE KEY", []byte("x"))) }, "KeyFile", []string{"damaged"}},
	}
}

func TestConfigProblemsAreReportedTogether(t *testing.T) {
	secret := string(tlstest.NewCA("Test Root", tlstest.P256).Issue(tlstest.Leaf{}).KeyPEM())
	_, err := NewDialer(Config{
		Addrs:      []string{"db.test", "ok.test:6432", "10.0.0.01:6432"},
		ServerName: "*",
		CAPEM:      secret,
		CertFile:   "/none.crt",
		KeyFile:    "/none.key",
		MinVersion: tls.VersionTLS10,
		Timeout:    -1,
	})
	var fields []string
	for _, problem := range configErrors(t, err) {
		fields = append(fields, problem.Field)
	}
	if got, want := strings.Join(fields, " "), "ServerName Addrs Addrs MinVersion Timeout CAPEM CertFile KeyFile"; got != want {
		t.Errorf("problems of %s, want %s", got, want)
	}
	if strings.Contains(err.Error(), secret[30:60]) {
		t.Error("the text repeats a private key")
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

func TestSystemRoots(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	p := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	cfg := Config{Addrs: []string{p.Addr}, ServerName: testName}
	d, err := newDialer(cfg, func() (*x509.CertPool, error) { return ca.Pool(), nil })
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	// An explicit CA replaces the system roots, it does not add to them.
	cfg.CAPEM = string(tlstest.NewCA("Other Root", tlstest.P256).PEM())
	if d, err = newDialer(cfg, func() (*x509.CertPool, error) { return ca.Pool(), nil }); err != nil {
		t.Fatal(err)
	}
	if failure := dialFailure(t, d); failure.Kind != ReasonCertUnknownAuthority {
		t.Errorf("reason %s, want %s", failure.Kind, ReasonCertUnknownAuthority)
	}

	cfg.CAPEM = ""
	for want, system := range map[string]systemRoots{
		"no root certificates": func() (*x509.CertPool, error) { return x509.NewCertPool(), nil },
		"boom":                 func() (*x509.CertPool, error) { return nil, errors.New("boom") },
	} {
		_, err := newDialer(cfg, system)
		if err == nil || configErrors(t, err)[0].Field != "CAFile" || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestWarningsAndExpiry(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	dir := t.TempDir()
	ended := time.Now().Add(-time.Hour).Truncate(time.Second)
	pair := ca.Issue(tlstest.Leaf{CommonName: "app", NotAfter: ended, Key: tlstest.P224})
	cert, key, err := pair.WriteFiles(dir, "client")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	d := newTestDialer(t, ca, func(c *Config) { c.CertFile, c.KeyFile, c.ServerName = cert, key, "" }, "10.0.0.1:6432", "10.0.0.2:6432")
	warnings := warningTexts(d)
	for _, want := range []string{key + `": group or others may access this private key (mode 0644)`, `"app" expired`, "P-224", "10.0.0.1 is an IP address", `"app" is not meant for clients (extended key usage: serverAuth)`} {
		if !strings.Contains(warnings, want) {
			t.Errorf("warnings %q lack %q", warnings, want)
		}
	}
	if len(d.Warnings()) != 5 {
		t.Errorf("%d warnings, want 5", len(d.Warnings()))
	}
	roots, client := d.NotAfter()
	if !roots.Equal(ca.Cert.NotAfter) || !client.Equal(ended) {
		t.Errorf("NotAfter: %v and %v", roots, client)
	}

	quiet := newTestDialer(t, ca, nil, "db.test:6432")
	if got := quiet.Warnings(); len(got) != 0 {
		t.Errorf("warnings %q, want none", got)
	}
	if _, client := quiet.NotAfter(); !client.IsZero() {
		t.Errorf("client certificate ends %v although there is none", client)
	}
}

func TestCombinedFileOfChainAndKey(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair := ca.Intermediate("Intermediate", tlstest.P256).Issue(tlstest.Leaf{CommonName: "app"})
	both := peertest.WriteFile(t, filepath.Join(t.TempDir(), "both.pem"), append(pair.KeyPEM(), pair.CertPEM()...), 0o600)
	d := newTestDialer(t, ca, func(c *Config) { c.CertFile, c.KeyFile = both, both }, "db.test:6432")
	if got := len(d.state.Load().client.Certificate); got != 2 {
		t.Errorf("%d certificates, want leaf and intermediate", got)
	}
}

func TestTLSPolicy(t *testing.T) {
	config := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), nil, "db.test:6432").state.Load().template
	if config.MinVersion != tls.VersionTLS12 || config.ClientSessionCache != nil || config.RootCAs == nil ||
		!config.DynamicRecordSizingDisabled || config.Renegotiation != tls.RenegotiateNever {
		t.Errorf("TLS policy changed: %+v", config)
	}
	for _, id := range config.CipherSuites {
		if name := tls.CipherSuiteName(id); !strings.HasPrefix(name, "TLS_ECDHE_") || strings.Contains(name, "CBC") {
			t.Errorf("offers %s", name)
		}
	}
}
