package tlsorigin

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// peerText is what a hostile peer would like the client to read.
const peerText = "password sent to the wrong place"

// serverHello11 is a ServerHello that picks TLS 1.1 although it was not offered.
const serverHello11 = "\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02" +
	"0123456789abcdef0123456789abcdef" + "\x00\xc0\x13\x00"

type badUpstream struct {
	name   string
	script func(net.Conn)
	change func(*Config)
	reason Reason
	wants  []string // must be in the text
}

func badCertificates(ca *tlstest.CA) []badUpstream {
	now := time.Now()
	leaf := func(l tlstest.Leaf) func(net.Conn) {
		if l.DNSNames == nil && l.CommonName == "" {
			l.DNSNames = []string{testName}
		}
		return presents(ca.Issue(l))
	}
	expired, future := now.Add(-40*24*time.Hour-time.Minute), now.Add(3*24*time.Hour+time.Minute)
	clientOnly := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	otherLeaf := tlstest.NewCA("Evil Root", tlstest.P256).Intermediate("Evil Intermediate", tlstest.P256).
		Issue(tlstest.Leaf{DNSNames: []string{testName}})
	ofEverything := tlstest.NewCA("Evil Root", tlstest.P256).Issue(tlstest.Leaf{DNSNames: []string{"db.internal"}, NotAfter: expired})
	weakCA := ca.Intermediate("Short Authority", tlstest.RSA1024)
	return []badUpstream{
		{"unknown CA", presents(otherLeaf), nil, ReasonCertUnknownAuthority, []string{`"db.test"`, `"Evil Root"`}},
		{
			"expired", leaf(tlstest.Leaf{NotAfter: expired}), nil, ReasonCertExpired,
			[]string{`"db.test" expired ` + expired.UTC().Format(time.RFC3339), "40 days ago"},
		},
		{
			"not yet valid", leaf(tlstest.Leaf{NotBefore: future}), nil, ReasonCertNotYetValid,
			[]string{"not valid before " + future.UTC().Format(time.RFC3339), "in 3 days"},
		},
		{
			"wrong name", leaf(tlstest.Leaf{DNSNames: []string{"db.internal", "db2.internal"}}), nil, ReasonCertNameMismatch,
			[]string{`certificate is valid for "db.internal", "db2.internal", not "db.test"`},
		},
		{
			"name only in the Common Name", leaf(tlstest.Leaf{CommonName: testName}), nil, ReasonCertNameMismatch,
			[]string{`"db.test" only as its Common Name`, "reissued with a subject alternative name (SAN)"},
		},
		{
			"other name in the Common Name", leaf(tlstest.Leaf{CommonName: "db.internal"}), nil, ReasonCertNameMismatch,
			[]string{`"db.internal" only as its Common Name`, `(SAN) "db.test"`},
		},
		{
			"extended key usage for clients only", leaf(tlstest.Leaf{ExtKeyUsage: clientOnly}), nil, ReasonCertUsage,
			[]string{`"db.test"`, "not meant for servers", "clientAuth"},
		},
		{
			"key usage without digitalSignature", leaf(tlstest.Leaf{Key: tlstest.RSA2048, KeyUsage: x509.KeyUsageKeyEncipherment}), nil, ReasonCertUsage,
			[]string{`"db.test"`, "digitalSignature"},
		},
		{
			"self-signed leaf", presents(tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{testName}})), nil, ReasonCertUnknownAuthority,
			[]string{`"db.test" is self-signed`},
		},
		{"RSA 1024 leaf", leaf(tlstest.Leaf{Key: tlstest.RSA1024}), nil, ReasonCertInvalid, []string{`"db.test"`, "1024 bits", "2048"}},
		{
			"RSA 1024 intermediate", presents(weakCA.Issue(tlstest.Leaf{DNSNames: []string{testName}})), nil, ReasonCertInvalid,
			[]string{`"Short Authority"`, "1024 bits"},
		},
		{
			"everything wrong at once", presents(ofEverything), nil, ReasonCertUnknownAuthority,
			[]string{`not trusted: "Evil Root"`}, // a stranger could have written the rest as it liked
		},
	}
}

func badProtocols(ca *tlstest.CA) []badUpstream {
	good := ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})
	old := serverConfig(good)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	tls12 := serverConfig(good)
	tls12.MaxVersion = tls.VersionTLS12
	afterHello := func(reply string) func(net.Conn) {
		return func(conn net.Conn) {
			answer(conn, "S")
			readHello(conn)
			io.WriteString(conn, reply)
		}
	}
	soon := func(c *Config) { c.Timeout = time.Second }
	authOK := "R\x00\x00\x00\x08\x00\x00\x00\x00"
	errorResponse := "E\x00\x00\x00\x60SFATAL\x00C08P01\x00M" + peerText + "\x00\x00"
	return []badUpstream{
		{"TLS 1.1 only", speaksTLS(old), nil, ReasonTLSAlert, []string{"none of the TLS versions", "alert 70"}},
		{"picks TLS 1.1 unasked", afterHello(serverHello11), nil, ReasonTLSProtocol, []string{"unsupported protocol version 302"}},
		{"TLS 1.2 where 1.3 is the minimum", speaksTLS(tls12), func(c *Config) { c.MinVersion = tls.VersionTLS13 }, ReasonTLSAlert, []string{"alert 70"}},
		{"answers N", answers("N"), nil, ReasonTLSRefused, []string{"refuses TLS"}},
		{"answers an ErrorResponse", answers(errorResponse), nil, ReasonTLSProtocol, []string{"answered SSLRequest with an error"}},
		{"answers something else", answers("HTTP/1.1 400 " + peerText), nil, ReasonTLSProtocol, []string{"byte 0x48", "Postgres"}},
		{"closes at once", func(conn net.Conn) { conn.Close() }, nil, ReasonUpstreamGone, []string{"closed the connection"}},
		{"closes after SSLRequest", func(conn net.Conn) { answer(conn, ""); conn.Close() }, nil, ReasonUpstreamGone, []string{"without an answer to SSLRequest"}},
		{
			"closes after S", func(conn net.Conn) { answer(conn, "S"); readHello(conn); conn.Close() }, nil, ReasonUpstreamGone,
			[]string{"agreed to TLS but closed"},
		},
		{
			"resets after S", func(conn net.Conn) { answer(conn, "S"); readHello(conn); reset(conn) }, nil, ReasonUpstreamGone,
			[]string{"agreed to TLS but closed"},
		},
		{"bytes behind S in the same segment", answers("S" + peerText), nil, ReasonTLSInjection, []string{"behind its answer"}},
		{"AuthenticationOk behind S in the same segment", answers("S" + authOK), nil, ReasonTLSInjection, []string{"behind its answer"}},
		{"bytes behind S in a later segment", afterHello(peerText), nil, ReasonTLSProtocol, []string{"not TLS"}},
		{"AuthenticationOk behind S in a later segment", afterHello(authOK), nil, ReasonTLSProtocol, []string{"not TLS"}},
		{"ErrorResponse behind S in a later segment", afterHello(errorResponse), nil, ReasonTLSProtocol, []string{"not TLS"}},
		{"never answers SSLRequest", func(net.Conn) {}, soon, ReasonUpstreamTimeout, []string{"no answer to SSLRequest within 1s"}},
		{"silent after S", answers("S"), soon, ReasonTLSTimeout, []string{"did not complete the handshake within", "received 0 bytes", "no better"}},
		{"half a handshake, then RST", func(conn net.Conn) {
			answer(conn, "S")
			readHello(conn)
			io.WriteString(conn, serverHello11[:20])
			reset(conn)
		}, nil, ReasonUpstreamGone, []string{"middle of the TLS handshake", "received 20 bytes"}},
		{"alert without a certificate request", afterHello("\x15\x03\x03\x00\x02\x02\x50"), nil, ReasonTLSAlert, []string{"alert 80 (internal error)"}},
		{"knows no such name", afterHello("\x15\x03\x03\x00\x02\x02\x70"), nil, ReasonTLSAlert, []string{"does not know the server name", "alert 112"}},
	}
}

func TestBadUpstreams(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P521)
	for _, row := range append(badCertificates(ca), badProtocols(ca)...) {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := startPeer(t, row.script)
			var attempts []Attempt
			d := newTestDialer(t, ca, func(c *Config) {
				c.Trace = &Trace{Attempt: func(a Attempt) { attempts = append(attempts, a) }}
				if row.change != nil {
					row.change(c)
				}
			}, p.addr)
			failure := dialFailure(t, d)
			if failure.Kind != row.reason || failure.Reason() != string(row.reason) {
				t.Errorf("reason %s, want %s (%v; cause: %v)", failure.Kind, row.reason, failure, failure.Err)
			}
			if failure.SQLState() != "08001" {
				t.Errorf("SQLSTATE %s, want 08001", failure.SQLState())
			}
			text := failure.Error()
			t.Log(text)
			for _, want := range append(row.wants, "upstream "+p.addr+": ") {
				if !strings.Contains(text, want) {
					t.Errorf("text %q lacks %q", text, want)
				}
			}
			if strings.Contains(text, peerText[:8]) {
				t.Errorf("text %q repeats the peer", text)
			}
			checkOnlyTLS(t, p.received(t))
			tries := 1
			switch row.name {
			case "closes after S", "resets after S", "silent after S":
				tries = 2 // a path that swallows hybrid hellos looks the same
			}
			if len(attempts) != tries {
				t.Errorf("attempts reported: %+v, want %d", attempts, tries)
			}
			for _, a := range attempts {
				if a.Err == nil || a.State.Version != 0 {
					t.Errorf("attempt reported: %+v, want a failure without a verified state", a)
				}
			}
		})
	}
}

func TestSurplusBytesAreNotTakenForTLS(t *testing.T) {
	// A whole good handshake that begins in the segment of 'S' is still an injection: the server speaks second in TLS.
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	p := startPeer(t, answers("S\x16\x03\x03\x00\x2a"))
	if failure := dialFailure(t, newTestDialer(t, ca, nil, p.addr)); failure.Kind != ReasonTLSInjection {
		t.Errorf("reason %s, want %s", failure.Kind, ReasonTLSInjection)
	}
	if got := p.received(t); string(got) != sslRequest {
		t.Errorf("the peer received %x, want only SSLRequest", got)
	}
}

func TestOneGoodChainIsEnough(t *testing.T) {
	short := tlstest.NewCA("Short Root", tlstest.RSA1024)
	between := short.Intermediate("Intermediate", tlstest.P256)
	p := startPeer(t, presents(between.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	if failure := dialFailure(t, newTestDialer(t, short, nil, p.addr)); failure.Kind != ReasonCertInvalid {
		t.Errorf("only the chain under the short root: reason %s, want %s", failure.Kind, ReasonCertInvalid)
	}
	// Where the intermediate is trusted, too, there is a second chain that ends with it.
	conn, err := newTestDialer(t, short, func(c *Config) { c.CAPEM += string(between.PEM()) }, p.addr).Dial(t.Context(), nil)
	if err != nil {
		t.Fatalf("both chains: %v", err)
	}
	checkEcho(t, conn)
	conn.Close()
}
