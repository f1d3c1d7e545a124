package e2e

import (
	"context"
	"crypto/x509"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// lateFile is a file that does not exist when pgorigin starts.
type lateFile struct {
	path string
	text []byte
}

// launchWithoutFiles starts a bridge whose files do not exist, and returns them. It waits for the warning.
func launchWithoutFiles(ctx context.Context, t *testing.T, env ...string) (*servers.Origin, []lateFile) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	client := shared.lab.CA.Issue(tlstest.Leaf{CommonName: servers.User, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	files := []lateFile{
		{filepath.Join(dir, "ca.crt"), shared.lab.CA.PEM()},
		{filepath.Join(dir, "crl.pem"), tlstest.CRLPEM(shared.lab.CA.CRL(tlstest.CRL{}))},
		{filepath.Join(dir, "tls.crt"), client.CertPEM()},
		{filepath.Join(dir, "tls.key"), client.KeyPEM()},
		{filepath.Join(dir, "password"), []byte(servers.Password)},
	}
	env = append([]string{
		bridgeMode, "PGORIGIN_TLS_CA_FILE=" + files[0].path, "PGORIGIN_TLS_CRL_FILE=" + files[1].path,
		"PGORIGIN_TLS_CERT_FILE=" + files[2].path, "PGORIGIN_TLS_KEY_FILE=" + files[3].path, "PGORIGIN_AUTH_PASSWORD_FILE=" + files[4].path,
	}, env...)
	origin, err := shared.lab.Launch(shared.binary, shared.postgres.Addr, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(origin.Stop)
	line, err := origin.Log.AwaitLine(ctx, "waiting for files")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.Contains(line, file.path) {
			t.Errorf("the warning lacks %s: %s", file.path, line)
		}
	}
	return origin, files
}

// A client that comes before the files is served when all are there, whatever their order.
func TestFilesComeAfterTheClient(t *testing.T) {
	for range 3 {
		ctx := testContext(t)
		origin, files := launchWithoutFiles(ctx, t, "PGORIGIN_UPSTREAM_WAIT=1m")
		client := make(chan error, 1)
		go func() {
			conn, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
			if err == nil {
				err = conn.Close(ctx)
			}
			client <- err
		}()
		rand.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		for _, file := range files {
			if status, body, err := origin.Get(ctx, "/startupz"); status != http.StatusServiceUnavailable || !strings.Contains(body, file.path) {
				t.Errorf("/startupz answers %d, %v: %s", status, err, body)
			}
			parts := [][]byte{file.text[:len(file.text)/2], file.text}
			if filepath.Ext(file.path) == "" {
				parts[0] = nil // half a password looks like one
			}
			for _, text := range parts {
				if err := os.MkdirAll(filepath.Dir(file.path), 0o700); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Millisecond))))
				if err := os.WriteFile(file.path, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := <-client; err != nil {
			order := slices.Collect(func(yield func(string) bool) {
				for _, file := range files {
					yield(filepath.Base(file.path))
				}
			})
			t.Errorf("files came in the order %q: %v; the log ends with\n%s", order, err, origin.Log.Tail(20))
		}
		origin.Stop()
	}
}

// Files that never come are reported as without a wait, and clients learn of the end. SIGTERM ends the wait without a report.
func TestFilesNeverCome(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		wait string
		end  func(*servers.Origin) error
		code int
	}{
		"the time is over": {"1s", func(*servers.Origin) error { return nil }, 78},
		"SIGTERM":          {"1h", func(o *servers.Origin) error { return o.Signal(syscall.SIGTERM) }, 0},
		"SIGINT":           {"1h", func(o *servers.Origin) error { return o.Signal(syscall.SIGINT) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			origin, _ := launchWithoutFiles(ctx, t, "PGORIGIN_UPSTREAM_WAIT="+row.wait)
			client, err := net.Dial("tcp", origin.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := row.end(origin); err != nil {
				t.Fatal(err)
			}
			awaitExit(ctx, t, origin.Process, row.code)
			if n, err := io.ReadFull(client, make([]byte, 1)); err == nil {
				t.Errorf("the client got %d bytes", n)
			}
			report := strings.Contains(origin.Log.String(), "pgorigin: the configuration has 5 problems:\nPGORIGIN_AUTH_PASSWORD_FILE: saw ")
			if want := row.code == 78; report != want {
				t.Errorf("a report: %v, want %v:\n%s", report, want, origin.Log)
			}
		})
	}
}
