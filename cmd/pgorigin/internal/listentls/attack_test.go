package listentls

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin/alert"
)

// TestPlaintextBehindSSLRequest: somebody on the way puts a startup packet of his own ahead of the client's
// handshake (CVE-2021-23214). It never counts as sent inside TLS.
func TestPlaintextBehindSSLRequest(t *testing.T) {
	t.Parallel()
	for name, injected := range map[string][]byte{
		"a startup packet": pgtest.Startup("user", "mallory"),
		"a query":          pgtest.Message('Q', "DROP TABLE t\x00"),
		"one byte":         {0},
		"a cancel":         pgtest.CancelRequest("pid4key4"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			raw := r.dial()
			raw.Send(pgtest.SSLRequest(), injected)
			raw.Expect([]byte("S"))
			conn := tls.Client(raw, r.config())
			if err := conn.HandshakeContext(t.Context()); err == nil {
				t.Error("the handshake succeeded")
			}
			_ = raw.Close()
			<-r.ended
			r.expectNoUpstream()
		})
	}
}

// TestBadHandshakes: the client gets no answer in plaintext, the log gets one short line, and nothing is dialled.
func TestBadHandshakes(t *testing.T) {
	t.Parallel()
	record := func(kind byte, body []byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{kind, 3, 1}, uint16(len(body))), body...)
	}
	for name, row := range map[string]struct {
		sends []byte
		want  string
	}{
		"garbage":                {[]byte(strings.Repeat("x", 200)), "first record does not look like"},
		"HTTP":                   {[]byte("GET / HTTP/1.1\r\n\r\n"), "first record does not look like"},
		"a record that is huge":  {[]byte{22, 3, 1, 0xff, 0xff, 1, 0, 0, 0}, "oversized record"},
		"a hello that is huge":   {record(22, append([]byte{1, 0xff, 0xff, 0xff}, make([]byte, 1000)...)), "exceeds"},
		"an empty hello":         {record(22, []byte{1, 0, 0, 0}), "the TLS handshake"},
		"a hello of zeros":       {record(22, append([]byte{1, 0, 1, 0}, make([]byte, 256)...)), "the TLS handshake"},
		"application data first": {record(23, make([]byte, 100)), "the TLS handshake"},
		"SSL 2":                  {[]byte{0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10}, "the TLS handshake"},
		"an alert":               {[]byte{21, 3, 1, 0, 2, 2, 40}, "alert 40"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			raw := r.dial()
			raw.Send(pgtest.SSLRequest())
			raw.Expect([]byte("S"))
			raw.Send(row.sends)
			answer := raw.ExpectClosed()
			e := r.expectEnd(pgwire.ReasonClientProtocol)
			if text := e.Err.Error(); !strings.Contains(text, row.want) || len(text) > 300 {
				t.Errorf("the log says %q", text)
			}
			if slices.Contains(answer, 'E') && strings.Contains(string(answer), "SFATAL") {
				t.Errorf("answered %q", answer)
			}
			r.expectNoUpstream()
		})
	}
}

// TestHostileNames: crypto/tls puts what a client asks for into its errors, as it was sent.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	config := r.config()
	for i := range 200 {
		config.NextProtos = append(config.NextProtos, fmt.Sprintf("\x1b[31m\n%d%s", i, strings.Repeat("x", 200)))
	}
	raw := r.dial()
	raw.Send(pgtest.SSLRequest())
	raw.Expect([]byte("S"))
	_ = tls.Client(raw, config).HandshakeContext(t.Context())
	_ = raw.Close()
	e := r.expectEnd(pgwire.ReasonClientProtocol)
	if text := e.Err.Error(); len(text) > 300 || strings.ContainsAny(text, "\x1b\n") {
		t.Errorf("the log says %.400q", text)
	}
}

// TestSlowHandshake: a client that does not go on has LoginTimeout, and gets no answer in plaintext.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	for name, sends := range map[string][]byte{
		"silent":       {},
		"one byte":     {22},
		"half a hello": {22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3},
	} {
		for way, first := range map[string][]byte{"SSLRequest": pgtest.SSLRequest(), "direct": nil} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, func(s *pgwire.Server) { s.LoginTimeout = 100 * time.Millisecond })
				raw := r.dial()
				raw.Send(first, sends)
				if answer := raw.ExpectClosed(); len(answer) > 1 {
					t.Errorf("answered %q", answer)
				}
				r.expectEnd(pgwire.ReasonClientTimeout)
				r.expectNoUpstream()
			})
		}
	}
}

// TestSlowloris: a client that sends its hello byte by byte for ever has no more time than a silent one.
func TestSlowloris(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(s *pgwire.Server) { s.LoginTimeout = 300 * time.Millisecond })
	raw := r.dial()
	raw.Send(pgtest.SSLRequest())
	raw.Expect([]byte("S"), nil)
	_, _ = raw.Write([]byte{22, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc, 3, 3})
	for range 10000 {
		if _, err := raw.Write([]byte{0}); err != nil {
			break
		}
		<-time.After(time.Millisecond)
	}
	r.expectEnd(pgwire.ReasonClientTimeout)
}

// TestDirectNeedsALPN, as in PostgreSQL: without it, another protocol's client could be led here.
func TestDirectNeedsALPN(t *testing.T) {
	t.Parallel()
	for name, protocols := range map[string][]string{"none": nil, "another": {"http/1.1"}} {
		r := newRig(t, nil)
		config := r.config()
		config.NextProtos = protocols
		conn := tls.Client(r.dial(), config)
		if err := conn.HandshakeContext(t.Context()); err == nil {
			if rest, err := io.ReadAll(conn); len(rest) > 0 {
				t.Errorf("%s: answered %q, %v", name, rest, err)
			}
		}
		e := r.expectEnd(pgwire.ReasonClientProtocol)
		if !strings.Contains(e.Err.Error(), "protocol") {
			t.Errorf("%s: the log says %v", name, e.Err)
		}
		r.expectNoUpstream()
	}
}

// TestDistrust: the log says that the client refused the certificate, in every way that clients do that.
func TestDistrust(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		r := newRig(t, nil)
		raw := r.dial()
		raw.Send(pgtest.SSLRequest())
		raw.Expect([]byte("S"))
		conn := tls.Client(raw, &tls.Config{ServerName: "localhost", MinVersion: version, MaxVersion: version})
		if err := conn.HandshakeContext(t.Context()); err == nil {
			t.Error("an unknown CA is trusted")
		}
		e := r.expectEnd(pgwire.ReasonClientProtocol)
		var failure *pgwire.Error
		if !errors.As(e.Err, &failure) || failure.Case != pgwire.CaseDistrusted {
			t.Errorf("%v: %v", version, e.Err)
		}
	}
}

// plainly is a client of OpenSSL. It sends its alert without encryption where TLS 1.3 expects that.
type plainly struct {
	net.Conn
	saidHello bool
}

func (c *plainly) Write(p []byte) (int, error) {
	if c.saidHello {
		_, err := c.Conn.Write([]byte{21, 3, 3, 0, 2, 2, alert.UnknownCA})
		return len(p), err
	}
	c.saidHello = true
	return c.Conn.Write(p)
}

// TestDistrustInPlaintext: the log has the alert, and not that crypto/tls could not decrypt it.
func TestDistrustInPlaintext(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	raw := r.dial()
	raw.Send(pgtest.SSLRequest())
	raw.Expect([]byte("S"))
	conn := tls.Client(&plainly{Conn: raw}, &tls.Config{ServerName: "localhost", MinVersion: tls.VersionTLS13})
	if err := conn.HandshakeContext(t.Context()); err == nil {
		t.Error("an unknown CA is trusted")
	}
	e := r.expectEnd(pgwire.ReasonClientProtocol)
	var failure *pgwire.Error
	if !errors.As(e.Err, &failure) || failure.Case != pgwire.CaseDistrusted || failure.Err != nil {
		t.Errorf("%v, because of %v", e.Err, failure.Err)
	}
}

// TestOldVersions: nothing below TLS 1.2 is served.
func TestOldVersions(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	raw := r.dial()
	raw.Send(pgtest.SSLRequest())
	raw.Expect([]byte("S"))
	config := r.config()
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := tls.Client(raw, config).HandshakeContext(t.Context()); err == nil {
		t.Fatal("TLS 1.1 is served")
	}
	r.expectEnd(pgwire.ReasonClientProtocol)
}

// TestTinyRecords: a byte per record is allowed, and costs no more than the client.
func TestTinyRecords(t *testing.T) {
	t.Parallel()
	eachWay(t, func(_ *testing.T, r *rig, client *pgtest.Peer) {
		startup := pgtest.Startup("user", "app")
		for _, b := range startup {
			client.Send([]byte{b})
		}
		upstream := <-r.upstreams
		upstream.Expect(startup)
		hello, query := pgtest.Login("pid4key4"), pgtest.Message('Q', "SELECT 1\x00")
		upstream.Send(hello)
		client.Expect(hello)
		for _, b := range query {
			client.Send([]byte{b})
			upstream.Expect([]byte{b}) // nothing waits for the next record
		}
	})
}
