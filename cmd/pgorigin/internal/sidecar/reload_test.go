package sidecar

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestReloadInterval(t *testing.T) {
	for _, row := range []struct{ value, want string }{
		{"", "30s"},
		{"0", "0s"},
		{"off", "0s"},
		{"0s", "error"},
		{"100ms", "100ms"},
		{"99ms", "error"},
		{"1h", "1h0m0s"},
		{"30", "error"},
		{"-1s", "error"},
		{"never", "error"},
	} {
		s, _, problems := config.Load([]string{cmdtest.Upstream, config.Prefix + "TLS_RELOAD_INTERVAL=" + row.value})
		got := s.TLS.ReloadInterval.String()
		if len(problems) == 1 && problems[0].Variable == config.Prefix+"TLS_RELOAD_INTERVAL" && strings.Contains(problems[0].Text, "SIGHUP") {
			got = "error"
		}
		if got != row.want {
			t.Errorf("%q is %s, want %s: %v", row.value, got, row.want, problems)
		}
	}
}

// startMounted starts a pgorigin whose CA is a mounted Secret and that reloads at SIGHUP only.
func startMounted(t *testing.T) (*running, *tlstest.Mount, []byte) {
	t.Helper()
	env := cmdtest.StartUpstream(t)
	pem := []byte(strings.TrimPrefix(env[1], "PGORIGIN_TLS_CA_PEM="))
	mount, err := tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), map[string][]byte{"ca.crt": pem})
	if err != nil {
		t.Fatal(err)
	}
	env[1] = "PGORIGIN_TLS_CA_FILE=" + mount.Path("ca.crt")
	return start(t, append(env, "PGORIGIN_TLS_RELOAD_INTERVAL=0")...), mount, pem
}

func TestSIGHUP(t *testing.T) {
	r, mount, pem := startMounted(t)
	client := r.Login(t)
	defer client.Close()
	r.hangups <- syscall.SIGHUP
	r.Stderr.Wait(t, "nothing to reload")

	next := tlstest.NewCA("next", tlstest.P256)
	if err := mount.Swap(map[string][]byte{"ca.crt": append(pem, next.PEM()...)}); err != nil {
		t.Fatal(err)
	}
	r.hangups <- syscall.SIGHUP
	line := r.Stderr.Wait(t, "reloaded")
	if added, _ := line["ca_added"].([]any); len(added) != 1 || added[0] != tlsorigin.Fingerprint(next.Cert) || line["level"] != "info" {
		t.Errorf("line is %v", line)
	}

	if err := mount.Swap(nil); err != nil {
		t.Fatal(err)
	}
	r.hangups <- syscall.SIGHUP
	line = r.Stderr.Wait(t, "reload failed, the old certificates stay in force")
	if text, _ := line["error"].(string); !strings.Contains(text, "PGORIGIN_TLS_CA_FILE") || line["level"] != "error" {
		t.Errorf("line is %v", line)
	}
	code, body := r.Get(t, "/readyz?verbose")
	if code != http.StatusOK || !strings.Contains(body, "[!]certificates: reload failed, the old certificates stay in force since ") {
		t.Errorf("/readyz?verbose = %d %q", code, body)
	}
	if code, body = r.Get(t, "/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("/readyz = %d %q", code, body)
	}
	client.Send(pgtest.Message('S', ""))
	client.Expect(pgtest.ReadyForQuery('I'))
	_ = r.Login(t).Close()
	_ = client.Close()
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

func TestSIGHUPWhileDraining(t *testing.T) {
	r, _, _ := startMounted(t)
	client := r.Begin(t)
	r.signals <- syscall.SIGTERM
	r.Stderr.Wait(t, "draining")
	r.hangups <- syscall.SIGHUP
	r.Stderr.Wait(t, "reload ignored, draining")
	client.Send(pgtest.Terminate())
	client.ExpectEOF()
	_ = client.Close()
	r.WantExit(t, cli.ExitOK)
}

// TestStartWarnsOfExpiry: the first line about a certificate comes before anybody connects.
func TestStartWarnsOfExpiry(t *testing.T) {
	env := cmdtest.StartUpstream(t)
	old := tlstest.SelfSigned(tlstest.Leaf{CommonName: "old", NotBefore: time.Now().Add(-time.Hour * 24 * 80), NotAfter: time.Now().Add(24 * time.Hour)})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), old.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	env[1] = "PGORIGIN_TLS_CA_FILE=" + filepath.Join(dir, "ca.crt")
	r := start(t, env...)
	line := r.Stderr.Wait(t, "certificate expires soon")
	if line["role"] != "ca" || line["level"] != "error" || line["sha256"] != tlsorigin.Fingerprint(old.Leaf) {
		t.Errorf("line is %v", line)
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}
