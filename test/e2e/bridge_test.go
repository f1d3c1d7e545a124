package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const bridgeMode = "PGORIGIN_AUTH_CHANNEL_BINDING=bridge"

func TestBridge(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT current_user")
		if code != 0 || out != "app\n" {
			t.Errorf("psql ended with %d and printed %q", code, out)
		}
		for range 3 { // the second login finds its salted password
			conn := connect(ctx, t, origin.Addr)
			if user := ask[string](ctx, t, conn, "SELECT current_user"); user != servers.User {
				t.Errorf("pgx is logged in as %q", user)
			}
		}
		const wrong = "password=not-the-one"
		code, out = psql(ctx, t, servers.DSN(origin.Addr, wrong))
		if code != 2 || !strings.Contains(out, "authentication failed") || strings.Contains(out, "pgorigin: ") {
			t.Errorf("a wrong password: psql ended with %d and printed %q", code, out)
		}
	}, bridgeMode, "PGORIGIN_AUTH_REQUIRE=scram-sha-256")
}

// With a password file clients need no password, and a change counts at the next login.
func TestBridgeWithPasswordFile(t *testing.T) {
	ctx := testContext(t)
	file := writeFile(t, "password", []byte(servers.Password+"\n"))
	origin := startOrigin(t, shared.postgres.Addr, bridgeMode, "PGORIGIN_AUTH_PASSWORD_FILE="+file)
	dsn := servers.DSN(origin.Addr, "password=''", "passfile=/dev/null")
	if code, out := psql(ctx, t, dsn, "SELECT 1"); code != 0 {
		t.Errorf("psql ended with %d and printed %q", code, out)
	}
	if err := os.WriteFile(file, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := psql(ctx, t, dsn, "SELECT 1"); code != 2 || !strings.Contains(out, "password authentication failed") {
		t.Errorf("after a change psql ended with %d and printed %q", code, out)
	}
}

// With the URL of an application, clients need no password, either, if the bridge is told to use it. Nothing that
// pgorigin prints has it.
func TestBridgeWithPasswordOfURL(t *testing.T) {
	ctx := testContext(t)
	url := "postgres://" + servers.User + ":" + servers.Password + "@" + shared.postgres.Addr + "/" + servers.Database
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_UPSTREAM_ADDR=", bridgeMode,
		"PGORIGIN_UPSTREAM_URL="+url+"?sslmode=require", "PGORIGIN_AUTH_PASSWORD_FILE=UPSTREAM_URL", "PGORIGIN_LOG_LEVEL=debug")
	dsn := servers.DSN(origin.Addr, "password=''", "passfile=/dev/null")
	if code, out := psql(ctx, t, dsn, "SELECT 1"); code != 0 {
		t.Errorf("psql ended with %d and printed %q", code, out)
	}
	if log := origin.Log.String(); strings.Contains(log, servers.Password) || !strings.Contains(log, "postgres://***@") {
		t.Errorf("the log is\n%s", log)
	}
}

// A man in the middle who has a valid certificate for the very name, but not
// the server's key, gets a stripped login through; a bridged one is refused by
// the server, because it is bound to his certificate. The same logins straight
// to the server succeed, so the binding data are right for each signature hash.
func TestBridgeIsBoundToTheCertificate(t *testing.T) {
	postgres, err := shared.lab.Postgres(testContext(t), servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer postgres.Stop()
	for _, issuer := range []tlstest.KeyType{tlstest.RSA2048, tlstest.P256, tlstest.P384, tlstest.P521} {
		t.Run(string(issuer), func(t *testing.T) {
			ctx := testContext(t)
			ca := shared.lab.CA.Intermediate("issuer "+string(issuer), issuer)
			leaf := tlstest.Leaf{DNSNames: []string{servers.ServerName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}
			if err := postgres.Present(ctx, ca.Issue(leaf)); err != nil {
				t.Fatal(err)
			}
			middle := startMiddle(t, ca.Issue(leaf), postgres.Addr)

			direct := startOrigin(t, postgres.Addr, bridgeMode)
			if code, out := psql(ctx, t, servers.DSN(direct.Addr), "SELECT 1"); code != 0 {
				t.Errorf("bridge to the server: psql ended with %d and printed %q", code, out)
			}
			stripped := startOrigin(t, middle)
			if code, out := psql(ctx, t, servers.DSN(stripped.Addr), "SELECT 1"); code != 0 {
				t.Errorf("control, strip to the man in the middle: psql ended with %d and printed %q", code, out)
			}
			stripping := startStrippingMiddle(t, ca.Issue(leaf), postgres.Addr)
			for mode, want := range map[string]string{"": "SCRAM channel binding negotiation error", "-plus": "but pgorigin allows only scram-sha-256-plus"} {
				origin := startOrigin(t, stripping, bridgeMode, "PGORIGIN_AUTH_REQUIRE=scram-sha-256"+mode)
				if code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT 1"); code != 2 || !strings.Contains(out, want) {
					t.Errorf("bridge to one who strips -PLUS: psql ended with %d and printed %q, want %q", code, out, want)
				}
			}
			bridged := startOrigin(t, middle, bridgeMode)
			if code, out := psql(ctx, t, servers.DSN(bridged.Addr), "SELECT 1"); code != 2 || !strings.Contains(out, "SCRAM channel binding check failed") {
				t.Errorf("bridge to the man in the middle: psql ended with %d and printed %q", code, out)
			}
		})
	}
}

// RFC 5929 has no hash for Ed25519: the bridge logs in without binding.
func TestBridgeToEd25519(t *testing.T) {
	ctx := testContext(t)
	ca := shared.lab.CA.Intermediate("issuer Ed25519", tlstest.Ed25519)
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer postgres.Stop()
	if err := postgres.Present(ctx, ca.Issue(tlstest.Leaf{
		DNSNames: []string{servers.ServerName}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Key: tlstest.Ed25519,
	})); err != nil {
		t.Fatal(err)
	}
	origin := startOrigin(t, postgres.Addr, bridgeMode)
	if code, out := psql(ctx, t, servers.DSN(origin.Addr), "SELECT 1"); code != 0 {
		t.Errorf("psql ended with %d and printed %q", code, out)
	}
}

// startMiddle ends TLS with a certificate of its own and begins it anew to the
// server, whose certificate it does not care about.
func startMiddle(t *testing.T, pair *tlstest.Pair, server string) (addr string) {
	t.Helper()
	return startMiddleThat(t, pair, server, func(said []byte) []byte { return said })
}

// startStrippingMiddle is startMiddle that takes -PLUS out of the server's offer, as if the server could not bind.
func startStrippingMiddle(t *testing.T, pair *tlstest.Pair, server string) (addr string) {
	t.Helper()
	offer, stripped := pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"), pgtest.AuthenticationSASL("SCRAM-SHA-256")
	return startMiddleThat(t, pair, server, func(said []byte) []byte { return bytes.Replace(said, offer, stripped, 1) })
}

// startMiddleThat is startMiddle that changes what the server says.
func startMiddleThat(t *testing.T, pair *tlstest.Pair, server string, change func([]byte) []byte) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { interpose(conn, pair, server, change) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

func interpose(conn net.Conn, pair *tlstest.Pair, server string, change func([]byte) []byte) {
	defer conn.Close()
	request := make([]byte, 8)
	if _, err := io.ReadFull(conn, request); err != nil {
		return
	}
	_, _ = conn.Write([]byte("S"))
	victim := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}})

	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	_, _ = upstream.Write(pgtest.SSLRequest())
	if _, err := io.ReadFull(upstream, request[:1]); err != nil || request[0] != 'S' {
		return
	}
	real := tls.Client(upstream, &tls.Config{InsecureSkipVerify: true}) // he is the attacker
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(real, victim)
		_ = real.CloseWrite()
	}()
	said := make([]byte, 32<<10)
	for {
		n, err := real.Read(said)
		if _, lost := victim.Write(change(said[:n])); err != nil || lost != nil {
			break
		}
	}
	_ = victim.CloseWrite()
	_ = conn.Close()
	<-done
}
