package e2e

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// rotations is how many times everything is replaced by good files, and again with bad ones in between.
const rotations = 50

// rotating is a pgorigin over a mounted Secret, in front of a PostgreSQL that demands a client certificate.
type rotating struct {
	postgres *servers.Postgres
	origin   *servers.Origin
	mount    *tlstest.Mount

	ca    *tlstest.CA       // that signed the server's certificate
	files map[string][]byte // mounted last, and good
}

func startRotating(ctx context.Context, t *testing.T, env ...string) *rotating {
	t.Helper()
	postgres, err := shared.lab.Postgres(ctx, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(postgres.Stop)
	r := &rotating{postgres: postgres, ca: shared.lab.CA}
	r.files = r.secret(clientCertificate())
	if r.mount, err = tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), r.files); err != nil {
		t.Fatal(err)
	}
	r.origin = startOrigin(t, postgres.Addr, append([]string{
		"PGORIGIN_TLS_CA_FILE=" + r.mount.Path("ca.crt"),
		"PGORIGIN_TLS_CERT_FILE=" + r.mount.Path("tls.crt"), "PGORIGIN_TLS_KEY_FILE=" + r.mount.Path("tls.key"),
	}, env...)...)
	return r
}

func clientCertificate() *tlstest.Pair {
	return shared.lab.CA.Issue(tlstest.Leaf{CommonName: servers.User, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// secret is what is mounted: the CA in use, others, and a client certificate.
func (r *rotating) secret(client *tlstest.Pair, others ...*tlstest.CA) map[string][]byte {
	bundle := r.ca.PEM()
	for _, other := range others {
		bundle = append(bundle, other.PEM()...)
	}
	return map[string][]byte{"ca.crt": bundle, "tls.crt": client.CertPEM(), "tls.key": client.KeyPEM()}
}

// broken returns files that must not be taken, another kind each time.
func (r *rotating) broken(i int) map[string][]byte {
	good, other := r.files, clientCertificate()
	bad := map[string][]byte{"ca.crt": good["ca.crt"], "tls.crt": good["tls.crt"], "tls.key": good["tls.key"]}
	switch i % 5 {
	case 0:
		bad["ca.crt"] = bad["ca.crt"][:len(bad["ca.crt"])-40]
	case 1:
		bad["tls.crt"] = other.CertPEM() // its key is still to come
	case 2:
		delete(bad, "tls.key")
	case 3:
		bad["ca.crt"] = nil
	case 4:
		bad["tls.key"] = slices.Concat([]byte("x"), good["tls.key"][:30])
	}
	return bad
}

// rotate replaces the CA and the client certificate as one does: the next CA is added for pgorigin, then the server gets a
// certificate of it, and the CA before goes with the next round. If announced, pgorigin is told by SIGHUP and the server
// waits for its log line; else nobody tells it anything, and its interval is far too long.
func (r *rotating) rotate(ctx context.Context, t *testing.T, name string, announced bool) {
	t.Helper()
	next, client := tlstest.NewCA(name, tlstest.P256), clientCertificate()
	r.files = r.secret(client, next)
	if err := r.mount.Swap(r.files); err != nil {
		t.Fatal(err)
	}
	if announced {
		r.hangUp(t)
		if _, err := r.origin.Log.AwaitLine(ctx, `"reloaded"`, tlsorigin.Fingerprint(next.Cert)); err != nil {
			t.Fatal(err)
		}
	}
	server := next.Issue(tlstest.Leaf{CommonName: servers.ServerName, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err := r.postgres.Present(ctx, server); err != nil {
		t.Fatal(err)
	}
	r.ca = next
	conn, err := pgx.Connect(ctx, servers.DSN(r.origin.Addr, "dbname="+servers.MutualDatabase))
	if err != nil {
		t.Fatalf("the next connection after %s: %v", name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	serial := ask[string](ctx, t, conn, "SELECT client_serial::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
	if want := client.Leaf.SerialNumber.String(); serial != want {
		t.Errorf("the next connection after %s has client certificate %s, want %s", name, serial, want)
	}
}

func (r *rotating) hangUp(t *testing.T) {
	t.Helper()
	if err := r.origin.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// load keeps opening connections, one for each transaction, until the returned function is called, which returns how many
// there were.
func (r *rotating) load(ctx context.Context, t *testing.T) (stop func() int) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script.sql")
	if err := os.WriteFile(script, []byte("SELECT 1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const clients, each = 2, 10
	var running sync.WaitGroup
	enough := make(chan struct{})
	connections := 0
	running.Go(func() {
		for {
			select {
			case <-enough:
				return
			default:
			}
			out, err := shared.lab.Pgbench(ctx, servers.DSN(r.origin.Addr, "dbname="+servers.MutualDatabase),
				"-n", "-C", "-c", fmt.Sprint(clients), "-t", fmt.Sprint(each), "-f", script).CombinedOutput()
			if err != nil || !strings.Contains(string(out), fmt.Sprintf("processed: %d/%[1]d", clients*each)) {
				t.Errorf("pgbench: %v\n%s", err, out)
				return
			}
			connections += clients * each
		}
	})
	stop = sync.OnceValue(func() int {
		close(enough)
		running.Wait()
		return connections
	})
	t.Cleanup(func() { stop() }) // the test may have failed
	return stop
}

// TestRotationUnderLoad replaces the server's CA and the client certificate all the time. No connection may notice.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	// A hundred rotations take a fifth of a second each, or as much as a second on a busy machine.
	ctx, giveUp := context.WithTimeout(t.Context(), 5*time.Minute)
	defer giveUp()
	r := startRotating(ctx, t)
	mutual := "dbname=" + servers.MutualDatabase
	first := connect(ctx, t, r.origin.Addr, mutual)
	pid := ask[int](ctx, t, first, "SELECT pg_backend_pid()")
	stop := r.load(ctx, t)
	for i := range rotations {
		r.rotate(ctx, t, fmt.Sprintf("rotation %d", i), i%2 == 0)
	}
	for i := range rotations {
		if err := r.mount.Swap(r.broken(i)); err != nil {
			t.Fatal(err)
		}
		r.hangUp(t)
		if i < 2 { // it takes two seconds until they are called wrong
			if _, err := r.origin.Log.AwaitLine(ctx, "reload failed, the old certificates stay in force", []string{"TLS_CA_FILE", "TLS_KEY_FILE"}[i]); err != nil {
				t.Fatal(err)
			}
		}
		mustExec(ctx, t, connect(ctx, t, r.origin.Addr, mutual), "SELECT 1")
		r.rotate(ctx, t, fmt.Sprintf("rotation %d after broken files", i), i%2 == 0)
	}
	connections := stop()
	if again := ask[int](ctx, t, first, "SELECT pg_backend_pid()"); again != pid {
		t.Errorf("the first session is with process %d, and was with %d", again, pid)
	}
	for _, line := range r.origin.Log.Lines(`"session ended"`) {
		if !strings.Contains(line, `"reason":"ok"`) {
			t.Errorf("a session failed: %s", line)
		}
	}
	reloads := len(r.origin.Log.Lines(`"message":"reloaded"`))
	if reloads < 2*rotations {
		t.Errorf("%d reloads, want %d", reloads, 2*rotations)
	}
	r.checkMetrics(ctx, t, reloads)
	t.Logf("%d connections by pgbench during %d reloads", connections, reloads)
}

func (r *rotating) checkMetrics(ctx context.Context, t *testing.T, reloads int) {
	t.Helper()
	_, metrics, err := r.origin.Get(ctx, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf(`pgorigin_tls_reloads_total{origin="default",result="ok"} %d`, reloads),
		`pgorigin_tls_reload_failing{origin="default"} 0`,
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
}

// TestReloadInterval: nobody says anything, and pgorigin notices by itself.
func TestReloadInterval(t *testing.T) {
	ctx := testContext(t)
	r := startRotating(ctx, t, "PGORIGIN_TLS_RELOAD_INTERVAL=100ms")
	next := tlstest.NewCA("next", tlstest.P384)
	if err := r.mount.Swap(r.secret(clientCertificate(), next)); err != nil {
		t.Fatal(err)
	}
	line, err := r.origin.Log.AwaitLine(ctx, `"reloaded"`, tlsorigin.Fingerprint(next.Cert))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"level":"info"`, `"ca_added"`, `"client"`, `"ca_not_after"`, `"client_not_after"`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if err := r.mount.Swap(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.origin.Log.AwaitLine(ctx, "reload failed, the old certificates stay in force", "no such file"); err != nil {
		t.Fatal(err)
	}
	if code, body, err := r.origin.Get(ctx, "/readyz?verbose"); err != nil || code != 200 || !strings.Contains(body, "[!]certificates: reload failed") {
		t.Errorf("/readyz?verbose = %d %q, %v", code, body, err)
	}
	mustExec(ctx, t, connect(ctx, t, r.origin.Addr, "dbname="+servers.MutualDatabase), "SELECT 1")
}
