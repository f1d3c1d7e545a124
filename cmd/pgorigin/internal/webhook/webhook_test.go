package webhook

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

const bareReview = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
	"request": {"uid": "1", "namespace": "shop", "operation": "CREATE",
	"kind": {"group": "", "version": "v1", "kind": "Pod"},
	"object": {"metadata": {"name": "web", "labels": {"pgorigin/inject": "true"}},
	"spec": {"containers": [{"name": "web"}]}}}}`

// webhookFiles writes a certificate, its key and a folder of defaults. It returns the variables that name
// them.
func webhookFiles(t *testing.T, ca *tlstest.CA) (env []string, defaults string) {
	t.Helper()
	folder := t.TempDir()
	cert, key, err := ca.Issue(tlstest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}).WriteFiles(folder, "webhook")
	if err != nil {
		t.Fatal(err)
	}
	defaults = filepath.Join(folder, "defaults")
	if err := os.Mkdir(defaults, 0o700); err != nil {
		t.Fatal(err)
	}
	writeDefault(t, defaults, "image", "registry.example/pgorigin:v1")
	return []string{
		"PGORIGIN_WEBHOOK_CERT_FILE=" + cert, "PGORIGIN_WEBHOOK_KEY_FILE=" + key,
		"PGORIGIN_WEBHOOK_DEFAULTS_DIR=" + defaults, "PGORIGIN_WEBHOOK_LISTEN_ADDR=" + cmdtest.FreeAddr(t),
		"PGORIGIN_WEBHOOK_SHUTDOWN_DELAY=0", "PGORIGIN_LOG_FORMAT=json",
		"PGORIGIN_PORT=tcp://10.0.0.1:443", "PGORIGIN_WEBHOOK_SERVICE_HOST=10.0.0.1",
		"PGORIGIN_WEBHOOK_PORT=tcp://10.0.0.1:443",
	}, defaults
}

func writeDefault(t *testing.T, folder, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWebhookCommand(t *testing.T) {
	ca := tlstest.NewCA("webhook", tlstest.P256)
	env, defaults := webhookFiles(t, ca)
	stderr := cmdtest.NewLogWatcher()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, cli.Process{Env: env, Stdout: io.Discard, Stderr: stderr}) }()
	url := "https://" + stderr.Wait(t, "ready")["address"].(string)

	config := &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS13}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	post := func() string {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/inject", strings.NewReader(bareReview))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := post(); !strings.Contains(got, "Pod shop/web: upstream is not set") {
		t.Errorf("without an upstream: %s", got)
	}
	if line := stderr.Wait(t, "pod refused"); line["object"] != "Pod shop/web" {
		t.Errorf("log line %v", line)
	}
	writeDefault(t, defaults, "upstream", "db.prod:6432\n") // an edit of the ConfigMap
	if got := post(); !strings.Contains(got, `"patch":`) {
		t.Errorf("with an upstream: %s", got)
	}
	stderr.Wait(t, "pod injected")
	stop()
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	stderr.Wait(t, "stopped")
}

func TestWebhookConfigurationProblems(t *testing.T) {
	wantProblems(t, []string{
		"PGORIGIN_WEBHOOK_CERT_FIEL=x", "PGORIGIN_UPSTREAM_ADDR=db",
		"PGORIGIN_WEBHOOK_LISTEN_ADDR=8443", "PGORIGIN_WEBHOOK_SHUTDOWN_DELAY=-1s",
	},
		"PGORIGIN_WEBHOOK_CERT_FIEL: unknown variable; did you mean PGORIGIN_WEBHOOK_CERT_FILE?",
		"PGORIGIN_UPSTREAM_ADDR: unknown variable; ",
		`PGORIGIN_WEBHOOK_LISTEN_ADDR: saw "8443": expected host:port`,
		"PGORIGIN_WEBHOOK_SHUTDOWN_DELAY: ",
		"PGORIGIN_WEBHOOK_CERT_FILE: not set: expected a PEM file",
		"PGORIGIN_WEBHOOK_KEY_FILE: not set: expected a PEM file",
		"PGORIGIN_WEBHOOK_DEFAULTS_DIR: not set: expected a folder",
	)
	wantProblems(t, []string{
		"PGORIGIN_WEBHOOK_CERT_FILE=no.crt", "PGORIGIN_WEBHOOK_KEY_FILE=no.key", "PGORIGIN_WEBHOOK_DEFAULTS_DIR=.",
	}, `PGORIGIN_WEBHOOK_CERT_FILE: saw "no.crt": certificate no.crt cannot be read: no such file`)
}

// wantProblems runs the webhook and wants exit code 78 and a report with these texts.
func wantProblems(t *testing.T, env []string, wants ...string) {
	t.Helper()
	stderr := cmdtest.NewLogWatcher()
	if code := Run(t.Context(), cli.Process{Env: env, Stdout: io.Discard, Stderr: stderr}); code != cli.ExitConfig {
		t.Errorf("exit %d", code)
	}
	text, _ := stderr.Text()
	cmdtest.Contains(t, text, wants...)
}
