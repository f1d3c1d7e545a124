package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

const selfSigned = "PGORIGIN_LISTEN_TLS=self-signed"

// TestListenTLS: libpq with every sslmode is served, and one that verifies trusts the CA that pgorigin has written.
// A bridge serves them in front of every upstream, strip in front of one that cannot bind.
func TestListenTLS(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, upstream, binding string }{
		{"postgres with bridge", shared.postgres.Addr, bridgeMode},
		{"pgbouncer with bridge", shared.bouncer.Addr, bridgeMode},
		{"pgbouncer", shared.bouncer.Addr, "PGORIGIN_AUTH_CHANNEL_BINDING=strip"},
		{"pgbouncer with pass", shared.bouncer.Addr, "PGORIGIN_AUTH_CHANNEL_BINDING=pass"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, ca := testContext(t), filepath.Join(t.TempDir(), "ca.crt")
			origin := startOrigin(t, row.upstream, row.binding, selfSigned, "PGORIGIN_LISTEN_TLS_CA_FILE="+ca)
			for mode, encrypted := range map[string]bool{
				"sslmode=disable": false, "sslmode=allow": false, "sslmode=prefer": true, "sslmode=require": true,
				"sslmode=verify-ca sslrootcert=" + ca:                       true,
				"sslmode=verify-full sslrootcert=" + ca:                     true,
				"host=localhost sslmode=verify-full sslrootcert=" + ca:      true,
				"sslmode=require sslrootcert=" + ca + " gssencmode=disable": true,
			} {
				code, out := psql(ctx, t, servers.DSN(origin.Addr, mode), "SELECT 1", `\conninfo`)
				if code != 0 || strings.Contains(out, "SSL connection (") != encrypted {
					t.Errorf("%s: psql ended with %d and printed %q", mode, code, out)
				}
			}
			for _, mode := range []string{
				"sslmode=verify-full sslrootcert=" + shared.lab.CAFile,
				"host=127.0.0.2 hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=" + ca,
			} {
				if code, out := psql(ctx, t, servers.DSN(origin.Addr, mode), "SELECT 1"); code != 2 {
					t.Errorf("%s: psql ended with %d and printed %q", mode, code, out)
				}
			}
			if log := origin.Log.String(); !strings.Contains(log, `"client_tls":"TLS 1.3"`) ||
				!strings.Contains(log, "the client refused the certificate of this listener with TLS alert 48 (unknown certificate authority)") {
				t.Error("the log does not say who has TLS, or who does not trust it")
			}
		})
	}
}

// TestListenTLSAndStrip: libpq with TLS could bind, and PostgreSQL would take a stripped offer for an attack. So
// pgorigin refuses first, and says what helps. A client with sslmode=prefer goes on in plaintext by itself.
func TestListenTLSAndStrip(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	for _, mode := range []string{"strip", "pass"} {
		origin := startOrigin(t, shared.postgres.Addr, selfSigned, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode)
		code, out := psql(ctx, t, servers.DSN(origin.Addr, "sslmode=require"), "SELECT 1")
		if code != 2 || !strings.Contains(out, "the client's TLS ends in pgorigin") ||
			!strings.Contains(out, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge") {
			t.Errorf("%s: psql ended with %d and printed %q", mode, code, out)
		}
		code, out = psql(ctx, t, servers.DSN(origin.Addr, "sslmode=require channel_binding=disable"), "SELECT 1")
		if code != 0 {
			t.Errorf("%s, and the client does not bind: psql ended with %d and printed %q", mode, code, out)
		}
		code, out = psql(ctx, t, servers.DSN(origin.Addr, "sslmode=prefer"), "SELECT 1")
		if (code == 0) != (mode == "strip") {
			t.Errorf("%s, with sslmode=prefer: psql ended with %d and printed %q", mode, code, out)
		}
	}
}
