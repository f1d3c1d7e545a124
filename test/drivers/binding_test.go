//go:build drivers

package drivers

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// PostgreSQL names the method of a login, scram-sha-256, but not whether it was bound to the channel. Its debug log has
// the lengths of the SASL messages, though, and they tell: a bound client-final-message carries the hash of the
// certificate. And a bound login cannot pass through anybody who ends TLS with another key, be the certificate ever so
// valid.
func TestBridgeIsBoundToTheChannel(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Minute, errors.New("the test takes too long"))
	defer cancel()
	s := newSuite(ctx, t)
	for name, binDir := range map[string]string{"PostgreSQL 15": "", "PostgreSQL 18": s.postgres18("bin")} {
		t.Run(name, func(t *testing.T) {
			pg, err := s.lab.Postgres(ctx, servers.PostgresOptions{BinDir: binDir, Settings: []string{"log_min_messages = debug4"}})
			if err != nil {
				t.Fatal(err)
			}
			plain, bound := s.growth(ctx, t, pg, "strip"), s.growth(ctx, t, pg, "bridge")
			// The Lab's CA signs with SHA-512.
			if want := finalGrowth("SCRAM-SHA-256", "n,,", nil); plain != want {
				t.Errorf("strip: the client's last message is %d bytes longer than its first, want %d", plain, want)
			}
			if want := finalGrowth("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", make([]byte, 64)); bound != want {
				t.Errorf("bridge: the client's last message is %d bytes longer than its first, want %d", bound, want)
			}
			s.throughImpostor(ctx, t, pg)
		})
	}
}

// finalGrowth is by how much a SASLResponse with a client-final-message (c=…,r=…,p=…) is longer than the
// SASLInitialResponse with its client-first-message (header,n=,r=…). The client's nonce is in both; PostgreSQL adds 24
// characters of its own; the proof has 32 bytes.
func finalGrowth(mechanism, header string, binding []byte) int {
	encoded := base64.StdEncoding.EncodedLen
	first := len(mechanism) + 1 + 4 + len(header) + len("n=,r=")
	final := len("c=") + encoded(len(header)+len(binding)) + len(",r=") + 24 + len(",p=") + encoded(32)
	return final - first
}

// growth logs in and reads the same figure off the server's log.
func (s *suite) growth(ctx context.Context, t *testing.T, pg *servers.Postgres, mode string) int {
	t.Helper()
	before := len(pg.Log.String())
	if out, err := s.login(ctx, t, pg.Addr, mode); err != nil {
		t.Fatalf("%s: %v: %s", mode, err, out)
	}
	length := regexp.MustCompile(`processing received SASL response of length (\d+)`)
	found := length.FindAllStringSubmatch(pg.Log.String()[before:], -1)
	if len(found) != 2 {
		t.Fatalf("%s: PostgreSQL logged %d SASL responses of a client, want 2", mode, len(found))
	}
	first, errFirst := strconv.Atoi(found[0][1])
	final, errFinal := strconv.Atoi(found[1][1])
	if err := errors.Join(errFirst, errFinal); err != nil {
		t.Fatal(err)
	}
	return final - first
}

// login runs psql through a pgorigin of its own in front of addr.
func (s *suite) login(ctx context.Context, t *testing.T, addr, mode string) (string, error) {
	t.Helper()
	origin, err := s.lab.Origin(ctx, s.binary, addr, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode)
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Stop()
	out, err := s.lab.Psql(ctx, servers.DSN(origin.Addr), "-Atc", "SELECT 'works'").CombinedOutput()
	return string(out), err
}

// throughImpostor puts somebody with a valid certificate, but a key of his own, before the server. TLS alone cannot
// notice.
func (s *suite) throughImpostor(ctx context.Context, t *testing.T, pg *servers.Postgres) {
	t.Helper()
	addr := s.impostor(ctx, t, pg.Addr)
	if out, err := s.login(ctx, t, addr, "strip"); err != nil || out != "works\n" {
		t.Errorf("strip: the impostor does not even relay: %v: %s", err, out)
	}
	out, err := s.login(ctx, t, addr, "bridge")
	if err == nil || strings.Contains(out, "works") {
		t.Fatalf("bridge: a login passed through somebody in the middle: %s", out)
	}
	if !strings.Contains(out, "SCRAM channel binding check failed") {
		t.Errorf("bridge: PostgreSQL did not refuse it for its channel binding: %s", out)
	}
}

// impostor ends TLS from clients and speaks TLS to the server, until the test is over.
func (s *suite) impostor(ctx context.Context, t *testing.T, upstream string) string {
	t.Helper()
	server := &tls.Config{Certificates: []tls.Certificate{s.lab.ServerCertificate(tlstest.P256).TLS()}, MinVersion: tls.VersionTLS12}
	client := &tls.Config{RootCAs: s.lab.CA.Pool(), ServerName: servers.ServerName, MinVersion: tls.VersionTLS12}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return // the test is over
			}
			go relay(ctx, near, upstream, server, client)
		}
	}()
	return ln.Addr().String()
}

// relay carries one connection. An error ends it, which the client at the other end notices.
func relay(ctx context.Context, near net.Conn, upstream string, server, client *tls.Config) {
	defer near.Close()
	far, err := new(net.Dialer).DialContext(ctx, "tcp", upstream)
	if err != nil {
		return
	}
	defer far.Close()
	request, answer := make([]byte, 8), make([]byte, 1)
	if _, err := io.ReadFull(near, request); err != nil { // SSLRequest
		return
	}
	if _, err := far.Write(request); err != nil {
		return
	}
	if _, err := io.ReadFull(far, answer); err != nil { // S
		return
	}
	if _, err := near.Write(answer); err != nil {
		return
	}
	nearTLS, farTLS := tls.Server(near, server), tls.Client(far, client)
	go func() {
		_, _ = io.Copy(farTLS, nearTLS)
		_ = farTLS.CloseWrite()
	}()
	_, _ = io.Copy(nearTLS, farTLS)
}
