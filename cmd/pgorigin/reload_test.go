package main

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

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
		s, _, problems := load([]string{upstream, prefix + "TLS_RELOAD_INTERVAL=" + row.value})
		got := s.TLS.ReloadInterval.String()
		if len(problems) == 1 && problems[0].variable == prefix+"TLS_RELOAD_INTERVAL" && strings.Contains(problems[0].text, "SIGHUP") {
			got = "error"
		}
		if got != row.want {
			t.Errorf("%q is %s, want %s: %v", row.value, got, row.want, problems)
		}
	}
}

// A problem is logged once, and again when it is another one, after an hour, and when somebody asks.
func TestReloadProblemsAreNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		failing := func(text string) error {
			return errors.Join(&tlsorigin.ConfigError{Field: "CAFile", Value: "/ca.crt", Err: errors.New(text)})
		}
		changed := tlsorigin.Reloaded{
			Changed: true, Files: []string{"/ca.crt"}, RootsAdded: make([]string, 12), Client: "c1",
			RootsNotAfter: time.Unix(1_900_000_000, 0), Warnings: []tlsorigin.Warning{{Field: "CAFile", Text: "is odd"}},
		}
		for _, step := range []struct {
			after time.Duration
			found tlsorigin.Reloaded
			err   error
			lines string // messages, by their first words
		}{
			{0, tlsorigin.Reloaded{}, nil, ""},
			{30 * time.Second, tlsorigin.Reloaded{}, failing("is empty"), "reload failed"},
			{30 * time.Second, tlsorigin.Reloaded{}, failing("is empty"), ""},
			{30 * time.Second, tlsorigin.Reloaded{}, failing("is a directory"), "reload failed"},
			{time.Hour - time.Second, tlsorigin.Reloaded{}, failing("is a directory"), ""},
			{time.Second, tlsorigin.Reloaded{}, failing("is a directory"), "reload failed"},
			{time.Second, tlsorigin.Reloaded{}, nil, "the certificate files are in order again"},
			{time.Second, tlsorigin.Reloaded{}, nil, ""},
			{time.Second, tlsorigin.Reloaded{}, failing("is a directory"), "reload failed"},
			{time.Second, changed, nil, "reloaded, doubtful configuration"},
		} {
			time.Sleep(step.after)
			w.reloaded(step.found, step.err)
			var lines []string
			for _, entry := range w.logs.TakeAll() {
				message, _, _ := strings.Cut(entry.Message, ", ")
				lines = append(lines, message)
				if text, _ := entry.ContextMap()["error"].(string); step.err != nil && !strings.HasPrefix(text, "PGORIGIN_TLS_CA_FILE: saw \"/ca.crt\": is ") {
					t.Errorf("error is %q", text)
				}
				if sums, ok := entry.ContextMap()["ca_added"].([]any); ok && (len(sums) != maxFingerprints+1 || sums[maxFingerprints] != "and 4 more") {
					t.Errorf("ca_added is %q", sums)
				}
			}
			if got := strings.Join(lines, ", "); got != step.lines {
				t.Errorf("after %+v: %q, want %q", step, got, step.lines)
			}
		}
		w.reloaded(tlsorigin.Reloaded{}, failing("is empty"))
		w.reloads.askedFor()
		w.reloaded(tlsorigin.Reloaded{}, failing("is empty"))
		if n := len(w.logs.TakeAll()); n != 2 {
			t.Errorf("%d lines, want 2", n)
		}
		checkReloadFailing(t, w)
	})
}

// checkReloadFailing looks at what is left of the steps of TestReloadProblemsAreNotRepeated.
func checkReloadFailing(t *testing.T, w watched) {
	t.Helper()
	if note := w.reloads.note(); !strings.Contains(note, "stay in force since 2000-01-01T01:01:34Z: PGORIGIN_TLS_CA_FILE") {
		t.Errorf("note is %q", note)
	}
	w.wantMetrics(t, map[string]string{
		`pgorigin_tls_reloads_total{origin="default",result="ok"}`:                         "1",
		`pgorigin_tls_reloads_total{origin="default",result="unchanged"}`:                  "3",
		`pgorigin_tls_reloads_total{origin="default",result="error"}`:                      "8",
		`pgorigin_tls_reload_failing{origin="default"}`:                                    "1",
		`pgorigin_tls_certificate_not_after_timestamp_seconds{origin="default",role="ca"}`: "1.9e+09",
	})
}

// startMounted starts a pgorigin whose CA is a mounted Secret and that reloads at SIGHUP only.
func startMounted(t *testing.T) (*running, *tlstest.Mount, []byte) {
	t.Helper()
	env := startUpstream(t)
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
	client := r.login(t)
	defer client.Close()
	r.instance.hangups <- syscall.SIGHUP
	r.stderr.wait(t, "nothing to reload")

	next := tlstest.NewCA("next", tlstest.P256)
	if err := mount.Swap(map[string][]byte{"ca.crt": append(pem, next.PEM()...)}); err != nil {
		t.Fatal(err)
	}
	r.instance.hangups <- syscall.SIGHUP
	line := r.stderr.wait(t, "reloaded")
	if added, _ := line["ca_added"].([]any); len(added) != 1 || added[0] != tlsorigin.Fingerprint(next.Cert) || line["level"] != "info" {
		t.Errorf("line is %v", line)
	}

	if err := mount.Swap(nil); err != nil {
		t.Fatal(err)
	}
	r.instance.hangups <- syscall.SIGHUP
	line = r.stderr.wait(t, "reload failed, the old certificates stay in force")
	if text, _ := line["error"].(string); !strings.Contains(text, "PGORIGIN_TLS_CA_FILE") || line["level"] != "error" {
		t.Errorf("line is %v", line)
	}
	code, body := r.get(t, "/readyz?verbose")
	if code != http.StatusOK || !strings.Contains(body, "[!]certificates: reload failed, the old certificates stay in force since ") {
		t.Errorf("/readyz?verbose = %d %q", code, body)
	}
	if code, body = r.get(t, "/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("/readyz = %d %q", code, body)
	}
	client.Send(pgtest.Message('S', ""))
	client.Expect(pgtest.ReadyForQuery('I'))
	_ = r.login(t).Close()
	_ = client.Close()
	r.stop()
	r.wantExit(t, exitOK)
}

func TestSIGHUPWhileDraining(t *testing.T) {
	r, _, _ := startMounted(t)
	client := r.begin(t)
	r.signals <- syscall.SIGTERM
	r.stderr.wait(t, "draining")
	r.instance.hangups <- syscall.SIGHUP
	r.stderr.wait(t, "reload ignored, draining")
	client.Send(pgtest.Terminate())
	client.ExpectEOF()
	_ = client.Close()
	r.wantExit(t, exitOK)
}

func TestExpiringCertificates(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []struct {
		name       string
		left, life time.Duration
		level      zapcore.Level // info: silence
	}{
		{"fresh", 89 * day, 90 * day, zapcore.InfoLevel},
		{"two weeks", 14 * day, 90 * day, zapcore.InfoLevel},
		{"less", 14*day - 1, 90 * day, zapcore.WarnLevel},
		{"three days", 3 * day, 90 * day, zapcore.WarnLevel},
		{"less still", 3*day - 1, 90 * day, zapcore.ErrorLevel},
		{"expired", -day, 90 * day, zapcore.ErrorLevel},
		{"a day, just renewed", 23 * time.Hour, day, zapcore.InfoLevel},
		{"a day, not renewed in time", 5 * time.Hour, day, zapcore.WarnLevel},
		{"a day, nearly over", time.Hour, day, zapcore.ErrorLevel},
	} {
		now := time.Now()
		cert := tlstest.SelfSigned(tlstest.Leaf{CommonName: row.name}).Leaf
		cert.NotAfter = now.Add(row.left)
		cert.NotBefore = cert.NotAfter.Add(-row.life)
		if level, ok := expiryLevel(cert, now); level != row.level || ok != (level != zapcore.InfoLevel) {
			t.Errorf("%s: %v, %v, want %v", row.name, level, ok, row.level)
		}
	}
}

func certs(leaf *tlstest.Pair, ca *tlstest.CA) []*x509.Certificate {
	return []*x509.Certificate{leaf.Leaf, ca.Cert}
}

// Each certificate is mentioned once a day, whoever looks how often.
func TestExpiryIsMentionedDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		ca := tlstest.NewCA("Root", tlstest.P256)
		ending := func(name string, left time.Duration) *tlstest.Pair {
			return ca.Issue(tlstest.Leaf{CommonName: name, NotBefore: time.Now().Add(-80 * 24 * time.Hour), NotAfter: time.Now().Add(left)})
		}
		client, server := ending("client", 49*time.Hour), ending("server", 10*24*time.Hour)
		leftover := ending("leftover", -time.Hour)
		mount, err := tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), map[string][]byte{
			"ca.crt": append(ca.PEM(), leftover.CertPEM()...), "tls.crt": client.CertPEM(), "tls.key": client.KeyPEM(),
			// The older list is in force for longer, and is no excuse.
			"crl.pem": tlstest.CRLPEM(ca.CRL(tlstest.CRL{NextUpdate: time.Now().Add(24 * time.Hour)}),
				ca.CRL(tlstest.CRL{ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: time.Now().Add(480 * time.Hour)})),
		})
		if err != nil {
			t.Fatal(err)
		}
		dialer, err := tlsorigin.NewDialer(tlsorigin.Config{
			Addrs: []string{"db.test:5432"}, CAFile: mount.Path("ca.crt"), CertFile: mount.Path("tls.crt"), KeyFile: mount.Path("tls.key"),
			CRLFile: mount.Path("crl.pem"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer dialer.Close()
		w.loaded(dialer)
		state := verifiedState()
		state.VerifiedChains = append(state.VerifiedChains, certs(server, ca), certs(ending("cross-signed", time.Hour), ca))
		look := func() (seen []string) {
			w.attempt(tlsorigin.Attempt{Resolved: &net.TCPAddr{}, State: state})
			w.reloaded(tlsorigin.Reloaded{}, nil)
			for _, entry := range w.logs.TakeAll() {
				if entry.Message == "revocation list has run out" {
					seen = append(seen, "list "+entry.Level.String())
				}
				if role, ok := entry.ContextMap()["role"].(string); ok {
					seen = append(seen, role+" "+entry.Level.String()+" "+strings.TrimPrefix(entry.Message, "certificate "))
				}
			}
			return seen
		}
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{0, "upstream warn expires soon, client error expires soon"},
			{23 * time.Hour, ""},
			{time.Hour + time.Second, "upstream warn expires soon, list warn, client error expires soon"},
			{25*time.Hour + time.Second, "upstream warn expires soon, list warn, client error has expired"},
		} {
			time.Sleep(step.after)
			if got := strings.Join(look(), ", "); got != step.want {
				t.Errorf("after %v: %q, want %q", step.after, got, step.want)
			}
		}
	})
}

// TestStartWarnsOfExpiry: the first line about a certificate comes before anybody connects.
func TestStartWarnsOfExpiry(t *testing.T) {
	env := startUpstream(t)
	old := tlstest.SelfSigned(tlstest.Leaf{CommonName: "old", NotBefore: time.Now().Add(-time.Hour * 24 * 80), NotAfter: time.Now().Add(24 * time.Hour)})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), old.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	env[1] = "PGORIGIN_TLS_CA_FILE=" + filepath.Join(dir, "ca.crt")
	r := start(t, env...)
	line := r.stderr.wait(t, "certificate expires soon")
	if line["role"] != "ca" || line["level"] != "error" || line["sha256"] != tlsorigin.Fingerprint(old.Leaf) {
		t.Errorf("line is %v", line)
	}
	r.stop()
	r.wantExit(t, exitOK)
}
