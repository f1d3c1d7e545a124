package tlsorigin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// fieldRow shows what a field of Config changes: see returns another text for the one value than for the
// other.
type fieldRow struct {
	one, other any           // nil means the zero value; NewDialer accepts both, unless see is refusal
	besides    func(*Config) // sets other fields; nil means none
	see        func(*testing.T, Config) string
}

// TestEveryFieldMatters finds a field that is documented, set and checked, and never used.
func TestEveryFieldMatters(t *testing.T) {
	w := newFieldWorld(t)
	rows := w.rows(t)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		row, ok := rows[field.Name]
		if !ok {
			t.Errorf("%s has no row: show what it changes", field.Name)
			continue
		}
		delete(rows, field.Name)
		t.Run(field.Name, func(t *testing.T) {
			seen := func(value any) string {
				c := Config{Addrs: []string{w.good.Addr}, ServerName: testName, CAPEM: string(w.ca.PEM())}
				if row.besides != nil {
					row.besides(&c)
				}
				target := reflect.ValueOf(&c).Elem().FieldByIndex(field.Index)
				target.SetZero()
				if value != nil {
					target.Set(reflect.ValueOf(value))
				}
				return row.see(t, c)
			}
			if one, other := seen(row.one), seen(row.other); one == other {
				t.Errorf("%s changes nothing: two values of it, and both times %s", field.Name, one)
			}
		})
	}
	for name := range rows {
		t.Errorf("there is a row for %s, and no such field", name)
	}
}

// fieldWorld has what the rows need: two upstreams, and what the first has seen of its client.
type fieldWorld struct {
	ca, strangers *tlstest.CA
	pair          *tlstest.Pair
	good, strange *peertest.Peer

	hellos  chan string // what each ClientHello offered
	clients chan string // the names of client certificates
	called  bool        // a hook was called
}

func newFieldWorld(t *testing.T) *fieldWorld {
	w := &fieldWorld{
		ca: tlstest.NewCA("Test Root", tlstest.P256), strangers: tlstest.NewCA("Stranger", tlstest.P256),
		hellos: make(chan string, 64), clients: make(chan string, 64),
	}
	w.pair = w.ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	config := peertest.ServerConfig(w.pair)
	config.ClientAuth = tls.RequestClientCert
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		w.hellos <- fmt.Sprint(hello.SupportedVersions, hello.SupportedCurves)
		return nil, nil
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		for _, cert := range state.PeerCertificates {
			w.clients <- cert.Subject.CommonName
		}
		return nil
	}
	w.good = peertest.Start(t, func(conn net.Conn) {
		peertest.SpeaksTLS(config)(conn)
		conn.Close() // also when the client does not begin with SSLRequest
	})
	stranger := w.strangers.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	w.strange = peertest.Start(t, peertest.Presents(stranger))
	return w
}

// rows has a row for each field.
func (w *fieldWorld) rows(t *testing.T) map[string]fieldRow {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		return peertest.WriteFile(t, filepath.Join(dir, name), data, 0o600)
	}
	key := tlstest.NewKey(tlstest.P256)
	first := w.ca.Issue(tlstest.Leaf{CommonName: "first", Signer: key})
	second := w.ca.Issue(tlstest.Leaf{CommonName: "second", Signer: key})
	keyFile, certFile := file("first.key", first.KeyPEM()), file("first.crt", first.CertPEM())
	revoked := tlstest.CRLPEM(w.ca.CRL(tlstest.CRL{Revoked: []*x509.Certificate{w.pair.Leaf}}))
	return map[string]fieldRow{
		"Addrs":      {[]string{w.good.Addr}, []string{w.strange.Addr}, nil, outcomeOfDial},
		"ServerName": {testName, "other.test", nil, outcomeOfDial},
		"CAFile": {
			file("ca.crt", w.ca.PEM()), file("stranger.crt", w.strangers.PEM()),
			func(c *Config) { c.CAPEM = "" }, outcomeOfDial,
		},
		"CAPEM":    {string(w.ca.PEM()), string(w.strangers.PEM()), nil, outcomeOfDial},
		"VerifyCA": {false, true, func(c *Config) { c.ServerName = "other.test" }, outcomeOfDial},
		"CRLFile":  {nil, file("crl.pem", revoked), nil, outcomeOfDial},
		"Pins":     {nil, []string{Pin(w.strangers.Cert)}, nil, outcomeOfDial},
		"CertFile": {
			certFile, file("second.crt", second.CertPEM()),
			func(c *Config) { c.KeyFile = keyFile }, w.clientName,
		},
		"KeyFile": {
			keyFile, file("other.key", w.pair.KeyPEM()),
			func(c *Config) { c.CertFile = certFile }, refusal,
		},
		"MinVersion":  {uint16(tls.VersionTLS12), uint16(tls.VersionTLS13), nil, w.offer},
		"Groups":      {[]tls.CurveID{tls.X25519}, []tls.CurveID{tls.CurveP256}, nil, w.offer},
		"PostQuantum": {PostQuantumPrefer, PostQuantumOff, nil, w.offer},
		"Negotiation": {NegotiatePostgres, NegotiateDirect, nil, outcomeOfDial},
		"ResumeFor":   {nil, time.Hour, nil, resumes},
		"Timeout":     {time.Second, time.Minute, func(c *Config) { c.NetDial = blackHole }, timeToFail},
		"NetDial": {nil, func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no network")
		}, nil, outcomeOfDial},
		"Resolver": {nil, "192.0.2.1:53", nil, func(t *testing.T, c Config) string {
			return fmt.Sprint(dialerOf(t, c).NameServers(t.Context()))
		}},
		"OwnAddress": {nil, func(netip.AddrPort) bool { return true }, nil, outcomeOfDial},
		"Trace":      {nil, &Trace{Attempt: func(Attempt) { w.called = true }}, nil, w.hookCalled},
	}
}

// dialOnce dials, and returns nil if there is no connection.
func dialOnce(t *testing.T, d *Dialer) (*Conn, error) {
	t.Helper()
	conn, err := d.Dial(t.Context(), nil)
	if err == nil {
		peertest.CheckEcho(t, conn) // also reads the session ticket
		conn.Close()
	}
	return conn, err
}

func dialerOf(t *testing.T, c Config) *Dialer {
	t.Helper()
	d, err := NewDialer(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// outcomeOfDial returns the reason of a failure.
func outcomeOfDial(t *testing.T, c Config) string {
	_, err := dialOnce(t, dialerOf(t, c))
	if failure, ok := errors.AsType[*Error](err); ok {
		return string(failure.Kind)
	}
	return fmt.Sprint(err)
}

// refusal returns the error of NewDialer. It is only for a field whose use is a check of another: a field
// that is checked and not used would pass.
func refusal(_ *testing.T, c Config) string {
	_, err := NewDialer(c)
	return fmt.Sprint(err)
}

// offer returns what the ClientHello offers.
func (w *fieldWorld) offer(t *testing.T, c Config) string {
	return w.told(t, c, w.hellos)
}

// clientName returns the name of the client certificate that the upstream got.
func (w *fieldWorld) clientName(t *testing.T, c Config) string {
	return w.told(t, c, w.clients)
}

func (w *fieldWorld) told(t *testing.T, c Config, from chan string) string {
	for len(from) > 0 {
		<-from
	}
	if _, err := dialOnce(t, dialerOf(t, c)); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-from:
		return text
	default:
		return "nothing"
	}
}

func (w *fieldWorld) hookCalled(t *testing.T, c Config) string {
	w.called = false
	if _, err := dialOnce(t, dialerOf(t, c)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("called: ", w.called)
}

// resumes tells whether the second connection resumes the session of the first.
func resumes(t *testing.T, c Config) string {
	d := dialerOf(t, c)
	if _, err := dialOnce(t, d); err != nil {
		t.Fatal(err)
	}
	conn, err := dialOnce(t, d)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("resumed: ", conn.ConnectionState().DidResume)
}

// timeToFail returns how long it takes to give up.
func timeToFail(t *testing.T, c Config) (text string) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := dialOnce(t, dialerOf(t, c))
		text = fmt.Sprint(time.Since(began), err == nil)
	})
	return text
}
