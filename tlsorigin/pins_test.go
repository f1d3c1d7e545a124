package tlsorigin

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestPins(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	between := ca.Intermediate("Intermediate", tlstest.P256)
	pair := between.Issue(tlstest.Leaf{CommonName: "server", DNSNames: []string{testName}})
	stranger := tlstest.NewCA("Stranger", tlstest.P256)
	// The stranger's certificate is sent along, so that its pin is presented, but it is not in the verified
	// chain.
	p := peertest.Start(t, peertest.Presents(pair.WithChain(between.Cert, stranger.Cert)))
	none := "sha256/" + base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	for name, row := range map[string]struct {
		pins []string
		want Reason
	}{
		"leaf":                    {[]string{Pin(pair.Leaf)}, ""},
		"intermediate":            {[]string{Pin(between.Cert)}, ""},
		"root":                    {[]string{Pin(ca.Cert)}, ""},
		"second of two":           {[]string{none, Pin(pair.Leaf)}, ""},
		"none of them":            {[]string{none}, ReasonCertPinMismatch},
		"sent but not in a chain": {[]string{Pin(stranger.Cert)}, ReasonCertPinMismatch},
	} {
		for mode, change := range map[string]func(*Config){
			"verify-full": func(c *Config) { c.Pins = row.pins },
			"verify-ca":   func(c *Config) { c.Pins, c.VerifyCA, c.ServerName = row.pins, true, "other.test" },
		} {
			t.Run(name+", "+mode, func(t *testing.T) {
				d := newTestDialer(t, ca, change, p.Addr)
				if row.want == "" {
					conn, err := d.Dial(t.Context(), nil)
					if err != nil {
						t.Fatal(err)
					}
					conn.Close()
					return
				}
				failure := dialFailure(t, d)
				if failure.Kind != row.want {
					t.Errorf("reason %s, want %s", failure.Kind, row.want)
				}
				for _, want := range []string{Pin(pair.Leaf), Pin(between.Cert), Pin(ca.Cert), `key of "server"`} {
					if !strings.Contains(failure.Text, want) {
						t.Errorf("text %q lacks %q", failure.Text, want)
					}
				}
			})
		}
	}
}

// The fingerprint of a certificate is easily taken for the pin of its key.
func TestPinThatIsAFingerprint(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair := ca.Issue(tlstest.Leaf{CommonName: "server", DNSNames: []string{testName}})
	whole := sha256.Sum256(pair.Leaf.Raw)
	d := newTestDialer(t, ca, func(c *Config) { c.Pins = []string{"sha256/" + base64.StdEncoding.EncodeToString(whole[:])} },
		peertest.Start(t, peertest.Presents(pair)).Addr)
	failure := dialFailure(t, d)
	if failure.Kind != ReasonCertPinMismatch || failure.Case != CaseFingerprint || failure.Value != Pin(pair.Leaf) ||
		!strings.Contains(failure.Text, `a pin is the hash of the whole certificate "server"`) {
		t.Errorf("%+v", failure)
	}
}

func TestPinsDoNotReplaceVerification(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair := tlstest.NewCA("Evil Root", tlstest.P256).Issue(tlstest.Leaf{DNSNames: []string{testName}})
	p := peertest.Start(t, peertest.Presents(pair))
	failure := dialFailure(t, newTestDialer(t, ca, func(c *Config) { c.Pins = []string{Pin(pair.Leaf)} }, p.Addr))
	if failure.Kind != ReasonCertUnknownAuthority {
		t.Errorf("reason %s, want %s", failure.Kind, ReasonCertUnknownAuthority)
	}
}

func TestMalformedPinsAreProblems(t *testing.T) {
	sum := sha256.Sum256(nil)
	good := base64.StdEncoding.EncodeToString(sum[:])
	_, err := NewDialer(Config{Addrs: []string{"db.test:6432"}, Pins: []string{"x", "sha256/" + good, "y"}})
	for _, value := range []string{"x", "y"} {
		if !strings.Contains(err.Error(), `Pins "`+value+`"`) {
			t.Errorf("%v does not mention %q", err, value)
		}
	}
	var wrong *ConfigError
	if !errors.As(err, &wrong) || wrong.Field != "Pins" || strings.Contains(err.Error(), good) {
		t.Errorf("error %v", err)
	}
}

// The pin of a certificate with the key of RFC 8410, section 10.1, as openssl computes it.
func TestPinIsThatOfThePublicKeyInfo(t *testing.T) {
	der, err := base64.StdEncoding.DecodeString("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	cert := &x509.Certificate{RawSubjectPublicKeyInfo: der}
	if got := Pin(cert); got != "sha256/"+base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("pin %s", got)
	}
}
