package webhook

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/inject"
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

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS13}}}
	defer client.CloseIdleConnections()
	post := func() string {
		t.Helper()
		_, text := do(t, client, http.MethodPost, url+"/inject", bareReview)
		return text
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
	_, metrics := do(t, client, http.MethodGet, url+"/metrics", "")
	cmdtest.Contains(t, metrics,
		`pgorigin_webhook_reviews_total{result="refused"} 1`, `pgorigin_webhook_reviews_total{result="injected"} 1`,
		`pgorigin_webhook_reviews_total{result="error"} 0`, "pgorigin_webhook_review_duration_seconds_count 2",
		"pgorigin_webhook_certificate_ok 1", "pgorigin_webhook_defaults_ok 1",
	)
	wantDocumented(t, metrics)
	stop()
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	stderr.Wait(t, "stopped")
}

// do sends one request and returns the status and the body of the answer.
func do(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
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
	return resp.StatusCode, string(text)
}

// wantDocumented compares the names of the webhook's own metrics with those in docs/reference/metrics.md.
func wantDocumented(t *testing.T, metrics string) {
	t.Helper()
	page, err := os.ReadFile("../../../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, text string) (found []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, match[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	exported := names(`(?m)^# TYPE (pgorigin_webhook_\w+)`, metrics)
	documented := names("`(pgorigin_webhook_\\w+)`", string(page))
	if len(exported) == 0 || !slices.Equal(exported, documented) {
		t.Errorf("exported are %v,\ndocumented %v", exported, documented)
	}
}

// With a certificate that API servers refuse, the webhook runs, is not ready, and says so in the log, in /readyz and in
// its metrics. It takes up a renewed one.
func TestWebhookWithExpiredCertificate(t *testing.T) {
	ca := tlstest.NewCA("webhook", tlstest.P256)
	env, defaults := webhookFiles(t, ca)
	write := func(leaf tlstest.Leaf) {
		t.Helper()
		if _, _, err := ca.Issue(leaf).WriteFiles(filepath.Dir(defaults), "webhook"); err != nil {
			t.Fatal(err)
		}
	}
	write(tlstest.Leaf{NotAfter: time.Unix(1e9, 0)})
	stderr := cmdtest.NewLogWatcher()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, cli.Process{Env: env, Stdout: io.Discard, Stderr: stderr}) }()
	defer func() {
		stop()
		<-ended
	}()
	url := "https://" + stderr.Wait(t, "ready")["address"].(string)
	const expired = "webhook.crt expired at 2001-09-09T01:46:40Z: renew it"
	if line := stderr.Wait(t, "certificate cannot be used"); !strings.Contains(fmt.Sprint(line["error"]), expired) {
		t.Errorf("log line %v", line)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, // as scrapes and probes
	}}
	want := func(status int, ready string, metrics ...string) {
		t.Helper()
		if got, text := do(t, client, http.MethodGet, url+"/readyz", ""); got != status || !strings.Contains(text, ready) {
			t.Errorf("/readyz: %d %s, want %d %s", got, text, status, ready)
		}
		_, text := do(t, client, http.MethodGet, url+"/metrics", "")
		cmdtest.Contains(t, text, metrics...)
	}
	want(http.StatusServiceUnavailable, expired,
		"pgorigin_webhook_certificate_ok 0", "pgorigin_webhook_certificate_not_after_timestamp_seconds 1e+09")
	write(tlstest.Leaf{NotAfter: time.Unix(4e9, 0)})
	want(http.StatusOK, "ok",
		"pgorigin_webhook_certificate_ok 1", "pgorigin_webhook_certificate_not_after_timestamp_seconds 4e+09")
	stderr.Wait(t, "certificate reloaded")
}

// TestLinesAboutPods: whoever sends reviews without end gets so many lines a minute, and each review is counted.
func TestLinesAboutPods(t *testing.T) {
	core, lines := observer.New(zap.DebugLevel)
	s := &server{log: zap.New(core), metrics: newMetrics(cli.Build{}, nil, nil)}
	s.strangers, s.pods = limited(s.log, strangersLines), limited(s.log, podsLines)
	for range 4 * podsLines {
		s.reviewed(inject.Decision{Object: "Pod a/b", Problems: []string{"x"}}, nil)
		s.reviewed(inject.Decision{Object: "Pod a/b", Injected: true}, nil)
		s.reviewed(inject.Decision{}, io.EOF)
	}
	for message, most := range map[string]int{
		"pod refused": podsLines, "pod injected": podsLines, "request cannot be answered": strangersLines,
	} {
		// Two minutes may begin within the loop.
		if got := lines.FilterMessage(message).Len(); got < most || got > 2*most {
			t.Errorf("%d lines %q, want %d", got, message, most)
		}
	}
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
