package inject

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// rig is a running webhook with a mounted Secret.
type rig struct {
	webhook *Webhook
	ca      *tlstest.CA
	mount   *tlstest.Mount
	url     string

	mu       sync.Mutex
	reloads  []error
	verdicts []Decision
	failures []error
	broken   error // of the defaults
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{ca: tlstest.NewCA("webhook CA", tlstest.P256)}
	var err error
	if r.mount, err = tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), r.files("first")); err != nil {
		t.Fatal(err)
	}
	pair, err := keypair.Open(t.Context(), r.mount.Path("tls.crt"), r.mount.Path("tls.key"), "", func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reloads = append(r.reloads, err)
	})
	if err != nil {
		t.Fatal(err)
	}
	r.webhook = &Webhook{
		Injector: func(context.Context) (*Injector, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			return testInjector(t), r.broken
		},
		Reviewed: func(v Decision, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if err != nil {
				r.failures = append(r.failures, err)
				return
			}
			r.verdicts = append(r.verdicts, v)
		},
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "https://" + ln.Addr().String()
	server := r.webhook.Server(pair)
	ended := make(chan error, 1)
	limited := Limit(server, ln)
	go func() { ended <- server.ServeTLS(limited, "", "") }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return r
}

// files returns a Secret with a certificate of that common name.
func (r *rig) files(name string) map[string][]byte {
	pair := r.ca.Issue(tlstest.Leaf{CommonName: name, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Key: tlstest.P256})
	return map[string][]byte{"tls.crt": pair.CertPEM(), "tls.key": pair.KeyPEM()}
}

// do sends one request over its own connection. It returns status, body and the name in the server's
// certificate.
func (r *rig) do(t *testing.T, method, path, body string) (status int, answer, certificate string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: r.ca.Pool(), MinVersion: tls.VersionTLS12},
	}}
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
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
	return resp.StatusCode, string(text), resp.TLS.PeerCertificates[0].Subject.CommonName
}

func TestWebhookAnswersOverTLS(t *testing.T) {
	r := newRig(t)
	status, answer, _ := r.do(t, http.MethodPost, "/inject", reviewOf(askedPods()["bare"]))
	if status != http.StatusOK || !strings.Contains(answer, `"patchType":"JSONPatch"`) {
		t.Errorf("%d %s", status, answer)
	}
	if len(r.verdicts) != 1 || r.verdicts[0].Object != "Pod shop/bare" || !r.verdicts[0].Injected {
		t.Errorf("verdicts %+v", r.verdicts)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, "/livez", "", http.StatusOK},
		{http.MethodGet, "/readyz", "", http.StatusOK},
		{http.MethodGet, "/inject", "", http.StatusMethodNotAllowed},
		{http.MethodPost, "/", "", http.StatusNotFound},
		{http.MethodPost, "/inject", "what?", http.StatusBadRequest},
		{http.MethodPost, "/inject", reviewOf(`"` + strings.Repeat("x", maxReview) + `"`), http.StatusInternalServerError},
	} {
		if status, answer, _ := r.do(t, c.method, c.path, c.body); status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, answer, c.status)
		}
	}
	if len(r.failures) != 2 || !strings.Contains(r.failures[1].Error(), "pgorigin reads at most") {
		t.Errorf("failures %v", r.failures)
	}
}

// TestWebhookAnswersAKubelet: the probe of a kubelet offers HTTP/2, and the webhook declines that.
func TestWebhookAnswersAKubelet(t *testing.T) {
	r := newRig(t)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, // so does the kubelet
		DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
	}
	for _, path := range []string{"/livez", "/readyz"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK || response.ProtoMajor != 1 {
			t.Errorf("%s: %s %s, want 200 by HTTP/1.1", path, response.Proto, response.Status)
		}
	}
}

// The next connection gets a renewed certificate. A certificate that does not fit its key changes nothing and
// is reported once.
func TestWebhookShowsRenewedCertificate(t *testing.T) {
	r := newRig(t)
	expect := func(want string) {
		t.Helper()
		if status, _, got := r.do(t, http.MethodGet, "/livez", ""); status != http.StatusOK || got != want {
			t.Errorf("status %d with certificate %q, want %q", status, got, want)
		}
	}
	swap := func(files map[string][]byte) {
		t.Helper()
		if err := r.mount.Swap(files); err != nil {
			t.Fatal(err)
		}
	}
	expect("first")
	second := r.files("second")
	swap(second)
	expect("second")
	wrong := r.files("third")
	wrong["tls.key"] = second["tls.key"]
	swap(wrong)
	expect("second")
	expect("second")
	swap(map[string][]byte{"tls.crt": second["tls.crt"]})
	expect("second")
	swap(r.files("fourth"))
	expect("fourth")
	if len(r.reloads) != 4 || r.reloads[0] != nil || r.reloads[1] == nil || r.reloads[2] == nil || r.reloads[3] != nil {
		t.Errorf("reloads %v", r.reloads)
	}
}

// While the defaults are wrong, or the webhook drains, /readyz fails. It still answers reviews.
func TestWebhookReadiness(t *testing.T) {
	r := newRig(t)
	r.mu.Lock()
	r.broken = errTest
	r.mu.Unlock()
	if status, answer, _ := r.do(t, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable || answer != "a reason\n" {
		t.Errorf("%d %s", status, answer)
	}
	if _, answer, _ := r.do(t, http.MethodPost, "/inject", reviewOf(askedPods()["bare"])); !strings.Contains(answer, "defaults are wrong: a reason") {
		t.Errorf("%s", answer)
	}
	if _, answer, _ := r.do(t, http.MethodPost, "/inject", reviewOf(`{"metadata": {}}`)); !strings.Contains(answer, `"allowed":true`) {
		t.Errorf("%s", answer)
	}
	r.mu.Lock()
	r.broken = nil
	r.mu.Unlock()
	r.webhook.Drain()
	if status, _, _ := r.do(t, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("draining: %d", status)
	}
	for _, path := range []string{"/livez"} {
		if status, _, _ := r.do(t, http.MethodGet, path, ""); status != http.StatusOK {
			t.Errorf("draining, %s: %d", path, status)
		}
	}
	if status, _, _ := r.do(t, http.MethodPost, "/inject", reviewOf(askedPods()["bare"])); status != http.StatusOK {
		t.Errorf("draining, review: %d", status)
	}
}

func TestOpenKeyPairSaysWhatIsWrong(t *testing.T) {
	for _, files := range [][2]string{{"no-such.crt", "no-such.key"}, {"webhook_test.go", "webhook_test.go"}} {
		if _, err := keypair.Open(t.Context(), files[0], files[1], "", nil); err == nil || !strings.Contains(err.Error(), files[0]) {
			t.Errorf("%v: %v", files, err)
		}
	}
}

func TestReadDefaults(t *testing.T) {
	folder := t.TempDir()
	write := func(name, value string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (Settings, string) {
		var i Injector
		if err := i.ReadDefaults(os.DirFS(folder)); err != nil {
			return i.defaults, oneLine(err)
		}
		return i.defaults, ""
	}
	if _, got := read(); got != "default image is not set: write the image of pgorigin" {
		t.Errorf("empty folder: %s", got)
	}
	write("image", "registry.example/pgorigin:v1\n")
	write("upstream", "")
	write("..data", "a kubelet's")
	if err := os.Symlink("gone", filepath.Join(folder, "server-name")); err != nil { // a moment later, a kubelet removes it
		t.Fatal(err)
	}
	if got, wrong := read(); wrong != "" || len(got) != 1 || got["image"] != "registry.example/pgorigin:v1" {
		t.Errorf("%+v, %s", got, wrong)
	}
	write("caSecret", "x")
	write("log-level", strings.Repeat("x", maxDefault+1))
	write("ca-secret", "A")
	write("ca-key", "x")
	_, got := read()
	for _, want := range []string{
		"default caSecret: no such setting; known are intercept,", "default log-level: expected at most 4096 bytes",
		`default ca-secret: expected the name of a Secret`,
		"default ca-key is set, but neither default ca-secret nor default ca-configmap",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	if err := new(Injector).ReadDefaults(os.DirFS(filepath.Join(folder, "missing"))); err == nil {
		t.Error("no folder, no error")
	}
}
