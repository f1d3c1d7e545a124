package sidecar

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const listenerName = "db.prod.example.com"

// shownName returns the common name of the certificate that a client sees.
func shownName(t *testing.T, r *running, ca *tlstest.CA) string {
	t.Helper()
	client := r.Connect(t)
	client.Send(pgtest.SSLRequest())
	client.Expect([]byte("S"))
	conn := tls.Client(client, &tls.Config{RootCAs: ca.Pool(), ServerName: listenerName})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestListenTLSFiles: a new certificate needs no restart, and a bad one does not replace a good one.
func TestListenTLSFiles(t *testing.T) {
	ca := tlstest.NewCA("listener CA", tlstest.P256)
	files := func(name string) map[string][]byte {
		pair := ca.Issue(tlstest.Leaf{CommonName: name, DNSNames: []string{listenerName}})
		return map[string][]byte{"tls.crt": pair.CertPEM(), "tls.key": pair.KeyPEM()}
	}
	mount, err := tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), files("first"))
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, append(cmdtest.StartUpstream(t), "PGORIGIN_TLS_RELOAD_INTERVAL=0", "PGORIGIN_LISTEN_TLS=files",
		"PGORIGIN_LISTEN_TLS_CERT_FILE="+mount.Path("tls.crt"), "PGORIGIN_LISTEN_TLS_KEY_FILE="+mount.Path("tls.key"))...)
	want := func(name string) {
		t.Helper()
		if got := shownName(t, r, ca); got != name {
			t.Errorf("the certificate is %q, want %q", got, name)
		}
	}
	want("first")
	broken := files("broken")
	broken["tls.key"] = files("other")["tls.key"]
	for _, step := range []struct {
		files      map[string][]byte
		log, shows string
	}{
		{broken, "reload failed, the old certificates stay in force", "first"},
		{files("second"), "reloaded", "second"},
	} {
		if err := mount.Swap(step.files); err != nil {
			t.Fatal(err)
		}
		r.hangups <- syscall.SIGHUP
		if line := r.Stderr.Wait(t, step.log); line["role"] != "listener" {
			t.Errorf("the log does not say of which certificate: %v", line)
		}
		want(step.shows)
		if _, body := r.Get(t, "/readyz?verbose"); strings.Contains(body, mount.Path("tls.crt")) != (step.shows == "first") {
			t.Errorf("%s: /readyz?verbose is %s", step.log, body)
		}
	}
	if _, body := r.Get(t, "/metrics"); !strings.Contains(body, `role="listener"`) {
		t.Error("no metric says when the certificate expires")
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// TestListenerOfAClient: clients that do not verify are served, so the start only warns.
func TestListenerOfAClient(t *testing.T) {
	cert, key, err := tlstest.SelfSigned(tlstest.Leaf{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}).
		WriteFiles(t.TempDir(), "tls")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_TLS=files",
		"PGORIGIN_LISTEN_TLS_CERT_FILE="+cert, "PGORIGIN_LISTEN_TLS_KEY_FILE="+key)...)
	line := r.Stderr.Wait(t, "configuration warning")
	if !strings.Contains(fmt.Sprint(line["warning"]), "_LISTEN_TLS_CERT_FILE: clients that verify refuse it: certificate "+cert) {
		t.Error(line)
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// TestBadListenerFiles: nothing listens with a certificate that cannot be used.
func TestBadListenerFiles(t *testing.T) {
	folder := t.TempDir()
	cert, key, err := tlstest.SelfSigned(tlstest.Leaf{}).WriteFiles(folder, "tls")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ cert, key, want string }{
		{filepath.Join(folder, "missing"), key, "no such file"},
		{cert, filepath.Join(folder, "missing"), "no such file"},
		{key, key, "tls.key"},
		{cert, cert, "tls.crt"},
		{folder, key, "directory"},
	} {
		got := runToEnd(t, append(cmdtest.StartUpstream(t), "PGORIGIN_UPSTREAM_WAIT=off", "PGORIGIN_LISTEN_TLS=files",
			"PGORIGIN_LISTEN_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_HEALTH_ADDR=off",
			"PGORIGIN_LISTEN_TLS_CERT_FILE="+row.cert, "PGORIGIN_LISTEN_TLS_KEY_FILE="+row.key))
		if got.code != cli.ExitConfig || !strings.Contains(got.stderr, "PGORIGIN_LISTEN_TLS_CERT_FILE") || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%+v: %+v", row, got)
		}
	}
}

// TestCAFileOfAnother: a file that pgorigin has not written stays as it is, and nothing is served.
func TestCAFileOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(path, []byte("important"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runToEnd(t, append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_TLS=self-signed", "PGORIGIN_LISTEN_TLS_CA_FILE="+path,
		"PGORIGIN_LISTEN_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_HEALTH_ADDR=off"))
	if got.code != cli.ExitConfig || !strings.Contains(got.stderr, "PGORIGIN_LISTEN_TLS_CA_FILE: saw") {
		t.Errorf("%+v", got)
	}
	if text, err := os.ReadFile(path); string(text) != "important" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestOriginsShareTheCA: two origins may write it to one file, and a client trusts both.
func TestOriginsShareTheCA(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.crt")
	s, p := built(t, []string{
		cmdtest.Upstream, "PGORIGIN_LISTEN_TLS=self-signed", "PGORIGIN_LISTEN_TLS_CA_FILE=" + path,
		"PGORIGIN_ORIGINS=reporting", "PGORIGIN_REPORTING_UPSTREAM_ADDR=b", "PGORIGIN_REPORTING_LISTEN_ADDR=127.0.0.1:16434",
	}, io.Discard)
	if code := s.writeCAFiles(p); code != cli.ExitOK {
		t.Errorf("%d", code)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != string(s.authority.PEM()) {
		t.Errorf("%q, %v", text, err)
	}
}
