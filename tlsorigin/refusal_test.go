package tlsorigin

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// alertAfterFlight returns a script that answers a ClientHello by TLS 1.2, and what comes then by an alert.
func alertAfterFlight(config *tls.Config, number string) func(net.Conn) {
	config = config.Clone()
	config.MaxVersion = tls.VersionTLS12
	return func(conn net.Conn) {
		peertest.Answer(conn, "S")
		_ = tls.Server(&flightConn{Conn: conn, alert: "\x15\x03\x03\x00\x02\x02" + number}, config).Handshake()
	}
}

// flightConn sends alert in place of the second flight.
type flightConn struct {
	net.Conn
	alert string
	wrote bool
}

func (c *flightConn) Write(p []byte) (int, error) {
	c.wrote = true
	return c.Conn.Write(p)
}

func (c *flightConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.wrote {
		io.WriteString(c.Conn, c.alert)
		return 0, io.EOF
	}
	return n, err
}

// TestNothingInCommon: an alert names hardly more than that something is missing. What was offered decides
// which setting the cure names.
func TestNothingInCommon(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	good := peertest.ServerConfig(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}}))
	serves := func(change func(*tls.Config)) func(net.Conn) {
		config := good.Clone()
		change(config)
		return peertest.SpeaksTLS(config)
	}
	alerts := func(number string) func(net.Conn) {
		return func(conn net.Conn) {
			peertest.Answer(conn, "S")
			peertest.ReadHello(conn)
			io.WriteString(conn, "\x15\x03\x03\x00\x02\x02"+number)
		}
	}
	only := func(groups ...tls.CurveID) func(*tls.Config) {
		return func(c *tls.Config) { c.CurvePreferences = groups }
	}
	tls12 := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	require := func(c *Config) { c.PostQuantum = PostQuantumRequire }
	offers := func(groups ...tls.CurveID) func(*Config) { return func(c *Config) { c.Groups = groups } }
	for _, row := range []struct {
		name   string
		script func(net.Conn)
		change func(*Config)
		reason Reason
		which  Case
		want   string
	}{
		{"hybrid required, server without", serves(only(tls.X25519)), require, ReasonTLSNoCommon, CaseOnlyHybrid, "no post-quantum key exchange, and nothing else was offered (X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024): TLS alert 40"},
		{"hybrid required, TLS 1.2", serves(tls12), require, ReasonTLSNoCommon, CaseOnlyHybrid, "no TLS version that was offered, TLS 1.3 alone, because post-quantum key exchange needs it: TLS alert 70"},
		{"TLS 1.3 required, TLS 1.2", serves(tls12), func(c *Config) { c.MinVersion = tls.VersionTLS13 }, ReasonTLSNoCommon, CaseOnlyTLS13, "TLS 1.3 alone"},
		{"list without P-256", serves(only(tls.CurveP256)), offers(tls.X25519, tls.CurveP384), ReasonTLSNoCommon, CaseGroups, "TLS 1.2 and 1.3 with X25519, P-384: TLS alert 40"},
		{"list with P-256", serves(only(tls.X25519)), offers(tls.CurveP256), ReasonTLSNoCommon, "", "with P-256: TLS alert 40"},
		{"ciphers", serves(func(c *tls.Config) { tls12(c); c.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256} }), nil, ReasonTLSNoCommon, "", "TLS alert 40"},
		{"insufficient security", alerts("\x47"), nil, ReasonTLSNoCommon, "", "alert 71"},
		{"illegal parameter", alerts("\x2f"), nil, ReasonTLSAlert, CaseLargeHello, "does not understand the ClientHello: TLS alert 47"},
		{"decode error", alerts("\x32"), nil, ReasonTLSAlert, CaseLargeHello, "alert 50"},
		{"illegal parameter in a small hello", alerts("\x2f"), offers(tls.X25519, tls.CurveP256), ReasonTLSNoCommon, "", "alert 47"},
		{"decode error in a small hello", alerts("\x32"), offers(tls.X25519), ReasonTLSAlert, "", "refused the TLS handshake with TLS alert 50"},
		{"unknown name", alerts("\x70"), nil, ReasonTLSServerName, "", `"db.test" (SNI)`},
		{"no name", alerts("\x70"), func(c *Config) { c.ServerName = "192.0.2.1" }, ReasonTLSServerName, CaseNoServerName, "an IP address such as 192.0.2.1 is never sent as one"},
		{"another protocol", serves(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }), nil, ReasonTLSALPN, CaseNoProtocol, "alert 120"},
		{"large hello answered, then an alert", alertAfterFlight(good, "\x2f"), nil, ReasonTLSAlert, "", "refused the TLS handshake with TLS alert 47"},
		{"cipher chosen, then an alert", alertAfterFlight(good, "\x28"), nil, ReasonTLSAlert, "", "refused the TLS handshake with TLS alert 40"},
		{"unasked cipher", func(conn net.Conn) {
			peertest.Answer(conn, "S")
			peertest.ReadHello(conn)
			hello := strings.Replace(peertest.ServerHello11, "\x26\x03\x02", "\x26\x03\x03", 1)
			io.WriteString(conn, strings.Replace(hello, "\xc0\x13", "\x00\x04", 1)) // RC4
		}, nil, ReasonTLSNoCommon, "", "it chose a cipher that was not offered"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := peertest.Start(t, row.script)
			failure := dialFailure(t, newTestDialer(t, ca, func(c *Config) {
				if row.change != nil {
					row.change(c)
				}
			}, p.Addr))
			if failure.Kind != row.reason || failure.Case != row.which || !strings.Contains(failure.Text, row.want) {
				t.Errorf("got %s %q: %v\nwant %s %q with %q", failure.Kind, failure.Case, failure, row.reason, row.which, row.want)
			}
			checkSafe(t, failure.Error())
		})
	}
}
