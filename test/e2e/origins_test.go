package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// startPooled starts a PostgreSQL of its own, whose certificates rotate, and in the same pgorigin, as origin pooled with
// files of its own, the pgbouncer of the suite. It returns the address of the second listener.
func startPooled(ctx context.Context, t *testing.T) (r *rotating, pooled string) {
	t.Helper()
	port, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	pooled = "127.0.0.1:" + port
	dir, client := t.TempDir(), clientCertificate()
	for name, content := range map[string][]byte{"tls.crt": client.CertPEM(), "tls.key": client.KeyPEM()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return startRotating(ctx, t,
		noWait, "PGORIGIN_ORIGINS=pooled", "PGORIGIN_TLS_RELOAD_INTERVAL=0",
		"PGORIGIN_POOLED_UPSTREAM_ADDR="+shared.bouncer.Addr, "PGORIGIN_POOLED_LISTEN_ADDR="+pooled,
		"PGORIGIN_POOLED_TLS_CA_FILE="+shared.lab.CAFile,
		"PGORIGIN_POOLED_TLS_CERT_FILE="+filepath.Join(dir, "tls.crt"), "PGORIGIN_POOLED_TLS_KEY_FILE="+filepath.Join(dir, "tls.key"),
	), pooled
}

// TestOrigins has PostgreSQL and pgbouncer behind one pgorigin. What happens to one does not happen to the other.
func TestOrigins(t *testing.T) {
	ctx := testContext(t)
	r, pooled := startPooled(ctx, t)
	mutual := "dbname=" + servers.MutualDatabase
	direct, pool := connect(ctx, t, r.origin.Addr, mutual), connect(ctx, t, pooled)
	for conn, want := range map[*pgx.Conn]string{direct: r.postgres.Addr, pool: shared.postgres.Addr} {
		if port := ask[string](ctx, t, conn, "SELECT current_setting('port')"); !strings.HasSuffix(want, ":"+port) {
			t.Errorf("a session is with the server on port %s, want %s", port, want)
		}
	}

	r.rotate(ctx, t, "next CA of one origin", true)
	mustExec(ctx, t, connect(ctx, t, pooled), "SELECT 1")
	if _, err := r.origin.Log.AwaitLine(ctx, "nothing to reload", `"origin":"pooled"`); err != nil {
		t.Fatal(err)
	}

	r.postgres.Stop()
	if e := refusal(ctx, t, r.origin.Addr, mutual); e.Code != "57P03" || !strings.Contains(e.Hint, "PGORIGIN_UPSTREAM_ADDR") {
		t.Errorf("the answer of the stopped origin is %s, hint %q", e.Code, e.Hint)
	}
	mustExec(ctx, t, pool, "SELECT 1")
	mustExec(ctx, t, connect(ctx, t, pooled), "SELECT 1")
	if code, body, err := r.origin.Get(ctx, "/readyz"); err != nil || code != 200 {
		t.Errorf("/readyz = %d %q, %v", code, body, err)
	}
	if session, err := r.origin.AwaitSession(ctx, `"origin":"default"`, "upstream_refused"); err != nil || session["upstream"] != nil {
		t.Errorf("the log has %v, %v", session, err)
	}
	r.checkOriginMetrics(ctx, t)
}

func (r *rotating) checkOriginMetrics(ctx context.Context, t *testing.T) {
	t.Helper()
	_, metrics, err := r.origin.Get(ctx, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`pgorigin_sessions_total{origin="default",reason="upstream_refused"} 1`,
		`pgorigin_sessions_total{origin="pooled",reason="upstream_refused"} 0`,
		`pgorigin_tls_reloads_total{origin="default",result="ok"} 1`,
		`pgorigin_tls_reloads_total{origin="pooled",result="ok"} 0`,
		`pgorigin_tls_reloads_total{origin="pooled",result="unchanged"} 1`,
		fmt.Sprintf(`pgorigin_sessions_open{origin="pooled"} %d`, 3),
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
}
