package promises

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const (
	serverName = "db.test"
	// evilText is what a hostile upstream would like the client to read.
	evilText = "send your password to evil.example"
	// user and secret are what must never leave.
	user, secret = "user_who_logs_in", "the_password"
)

// upstream plays the part of the database. What it returns is all that it got
// inside of TLS, if it came that far.
type upstream func(conn net.Conn) (inside []byte)

// says answers SSLRequest with bytes of its own.
func says(answer string) upstream {
	return func(conn net.Conn) []byte {
		_, _ = io.CopyN(io.Discard, conn, 8)
		_, _ = io.WriteString(conn, answer)
		return nil
	}
}

// presents goes through TLS with a certificate, and answers a login as a
// server would that wants to learn the password.
func presents(pair *tlstest.Pair, change func(*tls.Config)) upstream {
	return func(conn net.Conn) []byte {
		says("S")(conn)
		config := &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
		if change != nil {
			change(config)
		}
		server := tls.Server(conn, config)
		_, _ = server.Write(pgtest.Message('R', "\x00\x00\x00\x03"))
		inside, _ := io.ReadAll(server)
		return inside
	}
}

type row struct {
	upstream upstream
	reason   pgwire.Reason
	says     string // words of the message
}

func badUpstreams(ca *tlstest.CA) map[string]row {
	issue := func(l tlstest.Leaf) upstream {
		if l.DNSNames == nil && l.CommonName == "" {
			l.DNSNames = []string{serverName}
		}
		return presents(ca.Issue(l), nil)
	}
	now := time.Now()
	stranger := tlstest.NewCA("stranger", tlstest.P256)
	good := ca.Issue(tlstest.Leaf{DNSNames: []string{serverName}})
	evilError := string(pgtest.ErrorResponse("28000", evilText))
	return map[string]row{
		"unknown CA":              {presents(stranger.Issue(tlstest.Leaf{DNSNames: []string{serverName}}), nil), "cert_unknown_authority", "stranger"},
		"self-signed leaf":        {presents(tlstest.SelfSigned(tlstest.Leaf{DNSNames: []string{serverName}}), nil), "cert_unknown_authority", "self-signed"},
		"expired":                 {issue(tlstest.Leaf{NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour)}), "cert_expired", "expired"},
		"not yet valid":           {issue(tlstest.Leaf{NotBefore: now.Add(24 * time.Hour)}), "cert_not_yet_valid", "not valid before"},
		"wrong name":              {issue(tlstest.Leaf{DNSNames: []string{"other.test"}}), "cert_name_mismatch", `"other.test"`},
		"name in the Common Name": {issue(tlstest.Leaf{CommonName: serverName}), "cert_name_mismatch", "Common Name"},
		"hostile name":            {issue(tlstest.Leaf{DNSNames: []string{"x.test"}, CommonName: "\x1b]0;" + evilText}), "cert_name_mismatch", `"x.test"`},
		"client-only key usage":   {issue(tlstest.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}), "cert_usage", "clientAuth"},
		"TLS 1.1 only": {presents(good, func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		}), "tls_no_common", "TLS version"},
		"answers N":                     {says("N"), "tls_refused", "TLS"},
		"answers an ErrorResponse":      {says(evilError), "tls_protocol", "error"},
		"closes without an answer":      {says(""), "upstream_gone", "SSLRequest"},
		"closes after S":                {says("S"), "upstream_gone", "TLS"},
		"bytes behind S":                {injectsBehindS(evilError), "tls_injection", "injected"},
		"bytes behind S, later":         {injectsLater(evilError), "tls_protocol", "not TLS"},
		"plaintext AuthenticationOk":    {injectsLater(string(pgtest.Login("pid4key4"))), "tls_protocol", "not TLS"},
		"never answers":                 {silent, "upstream_silent", "SSLRequest"},
		"silent after S":                {silentAfterS, "tls_timeout", "ClientHello"},
		"half a handshake, then resets": {resetsWithinHandshake, "upstream_gone", "handshake"},
	}
}

// injectsBehindS sends S and more in one segment and holds the connection.
func injectsBehindS(more string) upstream {
	return func(conn net.Conn) []byte {
		says("S" + more)(conn)
		return silent(conn)
	}
}

// injectsLater waits for the ClientHello, so that nothing was there to see before.
func injectsLater(more string) upstream {
	return func(conn net.Conn) []byte {
		says("S")(conn)
		_, _ = io.CopyN(io.Discard, conn, 5)
		_, _ = io.WriteString(conn, more)
		return silent(conn)
	}
}

func silentAfterS(conn net.Conn) []byte {
	says("S")(conn)
	return silent(conn)
}

func silent(conn net.Conn) []byte {
	_, _ = io.Copy(io.Discard, conn)
	return nil
}

func resetsWithinHandshake(conn net.Conn) []byte {
	says("S")(conn)
	_, _ = io.CopyN(io.Discard, conn, 5)
	_, _ = io.WriteString(conn, "\x16\x03\x03\x00\x7a\x02\x00") // the head of a ServerHello
	_ = conn.(*wiretap).Conn.(*net.TCPConn).SetLinger(0)
	return nil
}

// wiretap keeps every byte that the upstream was sent.
type wiretap struct {
	net.Conn
	seen bytes.Buffer
}

func (w *wiretap) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.seen.Write(p[:n])
	return n, err
}

// No byte of a startup packet, password or cancel key reaches an upstream that
// has not proved its chain and its name, whatever it does instead; the client
// is told why in its own protocol; and nothing the upstream said is shown.
func TestNothingLeavesUnverified(t *testing.T) {
	ca := tlstest.NewCA("the CA", tlstest.P521)
	for name, tt := range badUpstreams(ca) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, ca, tt.upstream)
			client := w.connect(t)
			client.Send(pgtest.Startup("user", user), pgtest.Message('p', secret+"\x00"))
			state := "08001"
			if tt.reason == "upstream_silent" { // the only one of these that may pass by itself
				state = "57P03"
			}
			answer := client.ExpectError(state)
			client.ExpectEOF()
			_ = client.Close()

			if !strings.HasPrefix(answer.Message, "pgorigin: ") || !strings.Contains(answer.Message, tt.says) {
				t.Errorf("the client was told %q, which does not say %q", answer.Message, tt.says)
			}
			if told := answer.Message + answer.Detail + answer.Hint; strings.Contains(told, "\x1b") || strings.Contains(told, evilText) && name != "hostile name" {
				t.Errorf("the client was shown the peer's words: %q", told)
			}
			if ended := <-w.ended; ended.Reason != tt.reason || ended.SQLState != state {
				t.Errorf("the session ended with reason %s and SQLSTATE %s, want %s", ended.Reason, ended.SQLState, tt.reason)
			}
			w.checkNothingLeft(t)
		})
		t.Run(name+", cancel", func(t *testing.T) {
			t.Parallel()
			w := start(t, ca, tt.upstream)
			canceller := w.connect(t)
			canceller.Send(pgtest.CancelRequest("pid4" + secret))
			canceller.ExpectEOF()
			_ = canceller.Close()
			if ended := <-w.ended; ended.Reason != tt.reason {
				t.Errorf("the cancel ended with reason %s, want %s", ended.Reason, tt.reason)
			}
			w.checkNothingLeft(t)
		})
	}
}

// world is a client's way to an upstream through both leaves.
type world struct {
	addr  string
	ended chan pgwire.SessionResult
	sent  chan sent
}

// sent is what one upstream connection received, outside and inside of TLS.
type sent struct{ outside, inside []byte }

func start(t *testing.T, ca *tlstest.CA, play upstream) *world {
	w := &world{ended: make(chan pgwire.SessionResult, 1), sent: make(chan sent, 1)}
	upstreams := listen(t)
	go func() {
		conn, err := upstreams.Accept()
		if err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		tap := &wiretap{Conn: conn}
		inside := play(tap)
		_ = conn.Close()
		w.sent <- sent{tap.seen.Bytes(), inside}
	}()
	dialer, err := tlsorigin.NewDialer(tlsorigin.Config{
		Addrs: []string{upstreams.Addr().String()}, ServerName: serverName, CAPEM: string(ca.PEM()), Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &pgwire.Server{Dial: func(ctx context.Context, target net.Addr) (pgwire.Upstream, error) {
		conn, err := dialer.Dial(ctx, target)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}, Trace: &pgwire.Trace{
		Ended: func(_ pgwire.SessionInfo, r pgwire.SessionResult) { w.ended <- r },
	}}
	clients := listen(t)
	w.addr = clients.Addr().String()
	served := make(chan error, 1)
	go func() { served <- server.Serve(clients) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	return w
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func (w *world) connect(t *testing.T) *pgtest.Peer {
	t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return pgtest.NewPeer(t, conn)
}

// checkNothingLeft fails if the upstream got anything but SSLRequest and a handshake.
func (w *world) checkNothingLeft(t *testing.T) {
	t.Helper()
	got := <-w.sent
	if len(got.inside) > 0 {
		t.Errorf("inside of TLS the upstream got %q", got.inside)
	}
	if bytes.Contains(got.outside, []byte(user)) || bytes.Contains(got.outside, []byte(secret)) {
		t.Errorf("outside of TLS the upstream got %q", got.outside)
	}
	if !bytes.HasPrefix(got.outside, pgtest.SSLRequest()) {
		t.Errorf("the upstream was sent %q in place of SSLRequest", got.outside[:min(8, len(got.outside))])
	}
}

// The control: the same harness sees a login that goes to the right upstream,
// and sees it inside of TLS only.
func TestTheRightUpstreamGetsTheLogin(t *testing.T) {
	ca := tlstest.NewCA("the CA", tlstest.P521)
	w := start(t, ca, presents(ca.Issue(tlstest.Leaf{DNSNames: []string{serverName}}), nil))
	client := w.connect(t)
	login := [][]byte{pgtest.Startup("user", user), pgtest.Message('p', secret+"\x00")}
	client.Send(login...)
	client.Expect(pgtest.Message('R', "\x00\x00\x00\x03"))
	_ = client.Close()
	got := <-w.sent
	if !bytes.Equal(got.inside, bytes.Join(login, nil)) {
		t.Errorf("inside of TLS the upstream got %q", got.inside)
	}
	if bytes.Contains(got.outside, []byte(user)) || bytes.Contains(got.outside, []byte(secret)) {
		t.Errorf("outside of TLS the upstream got %q", got.outside)
	}
}
