package e2e

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// newDialer returns a Dialer for a server of the suite.
func newDialer(t *testing.T, addr string, change func(*tlsorigin.Config)) *tlsorigin.Dialer {
	t.Helper()
	cfg := tlsorigin.Config{Addrs: []string{addr}, ServerName: servers.ServerName, CAFile: shared.lab.CAFile}
	if change != nil {
		change(&cfg)
	}
	d, err := tlsorigin.NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func dial(t *testing.T, d *tlsorigin.Dialer) *tlsorigin.Conn {
	t.Helper()
	conn, err := d.Dial(testContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestSecondConnectionNeedsNoHelloRetryRequest: PostgreSQL up to 17 has P-256 alone. What it costs is counted on the wire:
// SSLRequest, ClientHello, a second ClientHello, Finished.
func TestSecondConnectionNeedsNoHelloRetryRequest(t *testing.T) {
	box := startMiddlebox(t, shared.postgres.Addr)
	d := newDialer(t, box.addr, nil)
	var before int
	for i, want := range []struct {
		retried bool
		flights int
	}{{true, 4}, {false, 3}, {false, 3}} {
		conn := dial(t, d)
		state := conn.ConnectionState()
		if state.HelloRetryRequest != want.retried || state.CurveID != tls.CurveP256 || state.Version != tls.VersionTLS13 {
			t.Errorf("connection %d: HelloRetryRequest %v by %v, want %v", i, state.HelloRetryRequest, state.CurveID, want.retried)
		}
		bytes, flights := 0, 0
		err := servers.Poll(testContext(t), func() error {
			if bytes, flights = box.sent(conn.LocalAddr()); flights < want.flights {
				return errors.New("the last flight is still under way")
			}
			return nil
		})
		if err != nil || flights != want.flights {
			t.Errorf("connection %d: the client sent %d bytes in %d flights (%v), want %d", i, bytes, flights, err, want.flights)
		}
		t.Logf("connection %d: HelloRetryRequest %v, %d bytes in %d flights", i, state.HelloRetryRequest, bytes, flights)
		if i > 0 && bytes > before-1500 {
			t.Errorf("connection %d: %d bytes, the first one took %d", i, bytes, before)
		}
		if i == 0 {
			before = bytes
		}
	}
}

// TestALPNIsHarmless: servers that are older than direct TLS ignore the offer.
func TestALPNIsHarmless(t *testing.T) {
	for name, addr := range map[string]string{"postgres": shared.postgres.Addr, "pgbouncer": shared.bouncer.Addr} {
		d := newDialer(t, addr, nil)
		hello, err := d.Hello()
		if err != nil || len(hello.Protocols) != 1 || hello.Protocols[0] != "postgresql" {
			t.Errorf("%s: the hello is %+v (%v)", name, hello, err)
		}
		if state := dial(t, d).ConnectionState(); state.NegotiatedProtocol != "" && state.NegotiatedProtocol != "postgresql" {
			t.Errorf("%s: negotiated %q", name, state.NegotiatedProtocol)
		}
	}
}

// TestDirectTLSToAnOldServer is told as what it is, and not in the words of somebody who has proved nothing.
func TestDirectTLSToAnOldServer(t *testing.T) {
	for name, addr := range map[string]string{"postgres": shared.postgres.Addr, "pgbouncer": shared.bouncer.Addr} {
		t.Run(name, func(t *testing.T) {
			d := newDialer(t, addr, func(c *tlsorigin.Config) { c.Negotiation = tlsorigin.NegotiateDirect })
			conn, err := d.Dial(testContext(t), nil)
			if err == nil {
				state := conn.ConnectionState()
				_ = conn.Close()
				if state.NegotiatedProtocol != "postgresql" {
					t.Errorf("connected with protocol %q", state.NegotiatedProtocol)
				}
				return // a server that is new enough
			}
			var failure *tlsorigin.Error
			if !errors.As(err, &failure) || failure.Kind != tlsorigin.ReasonTLSProtocol || !strings.Contains(err.Error(), "needs PostgreSQL 17 or pgbouncer 1.25") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestMiddleboxes: a login through each of them, the next one without delay, and what is told about it.
func TestMiddleboxes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		refuse   func(*net.TCPConn)
		patience time.Duration // of the first login, at the least; what it took on a busy machine is only logged
		cause    string
	}{
		{"swallows", boxSwallows, 3 * time.Second, "the ClientHello arrived but got no answer"},
		{"closes", boxCloses, 0, "the answer to the ClientHello was the end of the connection"},
		{"resets", boxResets, 0, "the answer to the ClientHello was a reset"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			box := startMiddlebox(t, shared.postgres.Addr)
			box.above(1448, row.refuse)
			origin := startOrigin(t, box.addr, "PGORIGIN_TLS_SERVER_NAME="+servers.ServerName, "PGORIGIN_DIAL_TIMEOUT=20s")
			began := time.Now()
			first := connect(ctx, t, origin.Addr)
			took := time.Since(began)
			ask[int](ctx, t, first, "SELECT 1")
			if took < row.patience {
				t.Errorf("the first login took %v, want %v and a little", took, row.patience)
			}
			began = time.Now()
			second := connect(ctx, t, origin.Addr)
			t.Logf("first login after %v, second after %v", took, time.Since(began))
			ask[int](ctx, t, second, "SELECT 1")
			if n := box.connections(); n != 3 {
				t.Errorf("%d connections for two logins, want 3: the first twice", n)
			}
			if _, err := origin.Log.AwaitLine(ctx, `"key exchange fell back"`); err != nil {
				t.Fatal(err)
			}
			warnings := origin.Log.Lines(`"key exchange fell back"`)
			if len(warnings) != 1 {
				t.Fatalf("%d warnings: %s", len(warnings), warnings)
			}
			var line map[string]any
			if err := json.Unmarshal([]byte(warnings[0]), &line); err != nil {
				t.Fatal(err)
			}
			if line["level"] != "warn" || line["state"] != "path_blocked" || !strings.HasPrefix(line["cause"].(string), row.cause) {
				t.Errorf("the warning is %v", line)
			}
			_, metrics, err := origin.Get(ctx, "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				`pgorigin_tls_fallbacks_total{kind="classical",origin="default"} 1`,
				`pgorigin_tls_post_quantum_state{origin="default",state="path_blocked"} 1`,
			} {
				if !strings.Contains(metrics, "\n"+want+"\n") {
					t.Errorf("/metrics has no %s", want)
				}
			}
		})
	}
}

// TestRequireNeverFallsBack: one connection for one login, and the client is told what to change.
func TestRequireNeverFallsBack(t *testing.T) {
	for name, refuse := range map[string]func(*net.TCPConn){"swallows": boxSwallows, "closes": boxCloses, "resets": boxResets} {
		t.Run(name, func(t *testing.T) {
			box := startMiddlebox(t, shared.postgres.Addr)
			box.above(512, refuse)
			origin := startOrigin(t, box.addr, "PGORIGIN_TLS_SERVER_NAME="+servers.ServerName, "PGORIGIN_DIAL_TIMEOUT=1s", noWait,
				"PGORIGIN_TLS_POST_QUANTUM=require")
			if answer := refusal(testContext(t), t, origin.Addr); answer.Code != "08001" {
				t.Errorf("the client is told %v", answer)
			}
			if n := box.connections(); n != 1 {
				t.Errorf("%d connections for one login", n)
			}
			if lines := origin.Log.Lines("fell back"); len(lines) != 0 {
				t.Errorf("the log has %s", lines)
			}
		})
	}
}
