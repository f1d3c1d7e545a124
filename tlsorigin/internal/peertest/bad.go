package peertest

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// PeerText is what a hostile Peer would like the client to read.
const PeerText = "password sent to the wrong place"

// ServerHello11 is a ServerHello that picks TLS 1.1 although it was not offered.
const ServerHello11 = "\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02" +
	"0123456789abcdef0123456789abcdef" + "\x00\xc0\x13\x00"

// BadUpstream is one that must be refused.
type BadUpstream struct {
	Name   string
	Script func(net.Conn)
	Needs  Setting
	Reason string
	Wants  []string // must be in the text
}

// Setting is what the configuration must have for a BadUpstream, besides trusting the CA.
type Setting int

// The settings.
const (
	Nothing Setting = iota
	Soon            // a timeout of one second
	OnlyTLS13
)

// BadCertificates present certificates that must not pass where ca is trusted.
func BadCertificates(ca *tlstest.CA) []BadUpstream {
	now := time.Now()
	leaf := func(l tlstest.Leaf) func(net.Conn) {
		if l.DNSNames == nil && l.CommonName == "" {
			l.DNSNames = []string{Name}
		}
		return Presents(ca.Issue(l))
	}
	expired, future := now.Add(-40*24*time.Hour-time.Minute), now.Add(3*24*time.Hour+time.Minute)
	clientOnly := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	otherLeaf := tlstest.NewCA("Evil Root", tlstest.P256).Intermediate("Evil Intermediate", tlstest.P256).
		Issue(tlstest.Leaf{DNSNames: []string{Name}})
	ofEverything := tlstest.NewCA("Evil Root",
		tlstest.P256).Issue(tlstest.Leaf{DNSNames: []string{"db.internal"}, NotAfter: expired})
	weakCA := ca.Intermediate("Short Authority", tlstest.RSA1024)
	return []BadUpstream{
		{
			"unknown CA", Presents(otherLeaf), Nothing, "cert_unknown_authority",
			[]string{`"db.test"`, `"Evil Root"`},
		},
		{
			"expired", leaf(tlstest.Leaf{NotAfter: expired}), Nothing, "cert_expired",
			[]string{`"db.test" expired ` + expired.UTC().Format(time.RFC3339), "40 days ago"},
		},
		{
			"not yet valid", leaf(tlstest.Leaf{NotBefore: future}), Nothing, "cert_not_yet_valid",
			[]string{"not valid before " + future.UTC().Format(time.RFC3339), "in 3 days"},
		},
		{
			"wrong name", leaf(tlstest.Leaf{DNSNames: []string{
				"db.internal",
				"db2.internal",
			}}), Nothing, "cert_name_mismatch",
			[]string{`certificate is valid for "db.internal", "db2.internal", not "db.test"`},
		},
		{
			"name only in the Common Name", leaf(tlstest.Leaf{CommonName: Name}), Nothing,
			"cert_name_mismatch",
			[]string{`"db.test" only as its Common Name`, "reissued with a subject alternative name (SAN)"},
		},
		{
			"other name in the Common Name", leaf(tlstest.Leaf{CommonName: "db.internal"}), Nothing,
			"cert_name_mismatch",
			[]string{`"db.internal" only as its Common Name`, `(SAN) "db.test"`},
		},
		{
			"extended key usage for clients only", leaf(tlstest.Leaf{ExtKeyUsage: clientOnly}), Nothing,
			"cert_usage",
			[]string{`"db.test"`, "not meant for servers", "clientAuth"},
		},
		{
			"key usage without digitalSignature", leaf(tlstest.Leaf{
				Key:      tlstest.RSA2048,
				KeyUsage: x509.KeyUsageKeyEncipherment,
			}), Nothing, "cert_usage",
			[]string{`"db.test"`, "digitalSignature"},
		},
		{
			"self-signed leaf", Presents(tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{Name}})), Nothing,
			"cert_unknown_authority",
			[]string{`"db.test" is self-signed`},
		},
		{
			"RSA 1024 leaf", leaf(tlstest.Leaf{Key: tlstest.RSA1024}), Nothing, "cert_invalid",
			[]string{`"db.test"`, "1024 bits", "2048"},
		},
		{
			"RSA 1024 intermediate", Presents(weakCA.Issue(tlstest.Leaf{DNSNames: []string{Name}})), Nothing,
			"cert_invalid",
			[]string{`"Short Authority"`, "1024 bits"},
		},
		{
			"everything wrong at once", Presents(ofEverything), Nothing, "cert_unknown_authority",
			[]string{`not trusted: "Evil Root"`}, // a stranger could have written the rest as it liked
		},
	}
}

// BadProtocols do not get as far as a certificate.
func BadProtocols(ca *tlstest.CA) []BadUpstream {
	good := ca.Issue(tlstest.Leaf{DNSNames: []string{Name}})
	old := ServerConfig(good)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	tls12 := ServerConfig(good)
	tls12.MaxVersion = tls.VersionTLS12
	afterHello := func(reply string) func(net.Conn) {
		return func(conn net.Conn) {
			Answer(conn, "S")
			ReadHello(conn)
			io.WriteString(conn, reply)
		}
	}
	authOK := "R\x00\x00\x00\x08\x00\x00\x00\x00"
	errorResponse := "E\x00\x00\x00\x60SFATAL\x00C08P01\x00M" + PeerText + "\x00\x00"
	return []BadUpstream{
		{
			"TLS 1.1 only", SpeaksTLS(old), Nothing, "tls_no_common",
			[]string{"no TLS version that was offered, TLS 1.2 and 1.3", "alert 70"},
		},
		{
			"picks TLS 1.1 unasked", afterHello(ServerHello11), Nothing, "tls_no_common",
			[]string{"chose TLS 1.1, and was offered TLS 1.2 and 1.3"},
		},
		{
			"TLS 1.2 where 1.3 is the minimum", SpeaksTLS(tls12), OnlyTLS13, "tls_no_common",
			[]string{"TLS 1.3 alone", "alert 70"},
		},
		{"answers N", Answers("N"), Nothing, "tls_refused", []string{"refuses TLS"}},
		{
			"answers an ErrorResponse", Answers(errorResponse), Nothing, "tls_protocol",
			[]string{"answered SSLRequest with an error"},
		},
		{
			"answers like a web server", Answers("HTTP/1.1 400 " + PeerText), Nothing, "not_postgres",
			[]string{"a web server (HTTP)"},
		},
		{
			"answers like SSH, which begins with S", Answers("SSH-2.0-" + PeerText), Nothing, "not_postgres",
			[]string{"an SSH server"},
		},
		{
			"answers like a MySQL whose greeting begins with N", Answers("N\x00\x00\x00\x0a" + PeerText), Nothing,
			"not_postgres",
			[]string{"MySQL"},
		},
		{
			"answers with an alert of TLS", Answers("\x15\x03\x03\x00\x02\x02\x0a"), Nothing, "not_postgres",
			[]string{"expects TLS from the first byte"},
		},
		{
			"answers something else", Answers("\x1b[2J " + PeerText), Nothing, "not_postgres",
			[]string{"byte 0x1b", "Postgres"},
		},
		{
			"closes at once", func(conn net.Conn) { conn.(*Recorder).Conn.(*net.TCPConn).CloseWrite() }, Nothing, "upstream_gone",
			[]string{"closed the connection"},
		},
		{
			"closes after SSLRequest", func(conn net.Conn) { Answer(conn, ""); conn.Close() }, Nothing,
			"upstream_gone",
			[]string{"without an answer to SSLRequest"},
		},
		{
			"closes after S", func(conn net.Conn) {
				Answer(conn,
					"S")
				ReadHello(conn)
				conn.Close()
			}, Nothing, "upstream_gone",
			[]string{"agreed to TLS but closed"},
		},
		{
			"resets after S", func(conn net.Conn) {
				Answer(conn,
					"S")
				ReadHello(conn)
				Reset(conn)
			}, Nothing, "upstream_gone",
			[]string{"agreed to TLS but reset"},
		},
		{
			"bytes behind S in the same segment", Answers("S" + PeerText), Nothing, "tls_injection",
			[]string{"after its answer"},
		},
		{
			"AuthenticationOk behind S in the same segment", Answers("S" + authOK), Nothing, "tls_injection",
			[]string{"after its answer"},
		},
		{
			"bytes behind S in a later segment", afterHello(PeerText), Nothing, "tls_protocol",
			[]string{"not TLS"},
		},
		{
			"AuthenticationOk behind S in a later segment", afterHello(authOK), Nothing, "tls_protocol",
			[]string{"not TLS"},
		},
		{
			"ErrorResponse behind S in a later segment", afterHello(errorResponse), Nothing, "tls_protocol",
			[]string{"not TLS"},
		},
		{
			"never answers SSLRequest", func(net.Conn) {}, Soon, "upstream_silent",
			[]string{"no answer to SSLRequest within 1s"},
		},
		{
			"silent after S", Answers("S"), Soon, "tls_timeout",
			[]string{"gave no answer to the ClientHello", "a smaller ClientHello failed"},
		},
		{"half a handshake, then RST", func(conn net.Conn) {
			Answer(conn, "S")
			ReadHello(conn)
			io.WriteString(conn, ServerHello11[:20])
			Reset(conn)
		}, Nothing, "upstream_gone", []string{"middle of the TLS handshake", "received 20 bytes"}},
		{
			"alert without a certificate request", afterHello("\x15\x03\x03\x00\x02\x02\x50"), Nothing,
			"tls_alert",
			[]string{"alert 80 (internal error)"},
		},
		{
			"knows no such name", afterHello("\x15\x03\x03\x00\x02\x02\x70"), Nothing, "tls_server_name",
			[]string{`does not know the server name "db.test" (SNI)`, "alert 112"},
		},
	}
}
