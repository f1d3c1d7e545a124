package sidecar

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// lateFiles are the files of a bridge that shows a certificate, in a folder that does not exist yet.
type lateFiles struct {
	*testing.T
	dir     string
	content map[string][]byte
	env     []string
}

func newLateFiles(t *testing.T) *lateFiles {
	t.Helper()
	ca := tlstest.NewCA("late", tlstest.P256)
	client := ca.Issue(tlstest.Leaf{CommonName: "app"})
	f := &lateFiles{T: t, dir: filepath.Join(t.TempDir(), "certs"), content: map[string][]byte{
		"ca.crt": ca.PEM(), "crl.pem": tlstest.CRLPEM(ca.CRL(tlstest.CRL{})), "tls.crt": client.CertPEM(),
		"tls.key": client.KeyPEM(), "password": []byte("secret\n"),
	}}
	f.env = []string{
		cmdtest.Upstream, "PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_HEALTH_ADDR=off",
		"PGORIGIN_LISTEN_ADDR=" + cmdtest.FreeAddr(t),
		"PGORIGIN_TLS_CA_FILE=" + f.path("ca.crt"), "PGORIGIN_TLS_CRL_FILE=" + f.path("crl.pem"),
		"PGORIGIN_TLS_CERT_FILE=" + f.path("tls.crt"), "PGORIGIN_TLS_KEY_FILE=" + f.path("tls.key"),
		"PGORIGIN_AUTH_PASSWORD_FILE=" + f.path("password"),
	}
	return f
}

func (f *lateFiles) path(name string) string { return filepath.Join(f.dir, name) }

// write writes a part of a file, 1 for all of it.
func (f *lateFiles) write(name string, part float64) {
	f.Helper()
	text := f.content[name]
	err := os.MkdirAll(f.dir, 0o700)
	if err == nil {
		err = os.WriteFile(f.path(name), text[:int(part*float64(len(text)))], 0o600)
	}
	if err != nil {
		f.Fatal(err)
	}
}

func (f *lateFiles) writeAll(but ...string) {
	f.Helper()
	for name := range f.content {
		if len(but) == 0 || name != but[0] {
			f.write(name, 1)
		}
	}
}

// event is what happens to the files after a time.
type event struct {
	after time.Duration
	do    func(*lateFiles)
}

func TestAStartWaitsForFiles(t *testing.T) {
	whole := func(name string) func(*lateFiles) { return func(f *lateFiles) { f.write(name, 1) } }
	part := func(name string, part float64) func(*lateFiles) { return func(f *lateFiles) { f.write(name, part) } }
	all := func(f *lateFiles) { f.writeAll() }
	allBut := func(name string) func(*lateFiles) { return func(f *lateFiles) { f.writeAll(name) } }
	otherKey := func(f *lateFiles) {
		f.content["tls.key"] = tlstest.NewCA("other", tlstest.P256).Issue(tlstest.Leaf{}).KeyPEM()
		f.writeAll()
	}
	const s, ms = time.Second, time.Millisecond
	for name, row := range map[string]struct {
		env    []string
		events []event
		want   time.Duration // when it serves, or ends with the report
		code   int
		lines  int // warnings
	}{
		"all are there":       {nil, []event{{0, all}}, 0, cli.ExitOK, 0},
		"the folder is late":  {nil, []event{{5 * s, all}}, 5 * s, cli.ExitOK, 1},
		"just in time":        {nil, []event{{14 * s, all}}, 14 * s, cli.ExitOK, 1},
		"too late":            {nil, []event{{14*s + 2*ms, all}}, 14 * s, cli.ExitConfig, 1},
		"never":               {nil, nil, 14 * s, cli.ExitConfig, 1},
		"a wait of its own":   {[]string{"PGORIGIN_UPSTREAM_WAIT=20s"}, nil, 20 * s, cli.ExitConfig, 1},
		"a short wait":        {[]string{"PGORIGIN_UPSTREAM_WAIT=100ms"}, nil, 100 * ms, cli.ExitConfig, 1},
		"no wait":             {[]string{"PGORIGIN_UPSTREAM_WAIT=off"}, nil, 0, cli.ExitConfig, 0},
		"another mistake":     {[]string{"PGORIGIN_TLS_MIN_VERSION=1.1"}, nil, 0, cli.ExitConfig, 0},
		"another one of TLS":  {[]string{"PGORIGIN_TLS_PINS=sha256/x"}, nil, 0, cli.ExitConfig, 0},
		"no key at all":       {[]string{"PGORIGIN_TLS_KEY_FILE="}, nil, 0, cli.ExitConfig, 0},
		"the key comes last":  {nil, []event{{s, whole("ca.crt")}, {2 * s, whole("password")}, {3 * s, all}}, 3 * s, cli.ExitOK, 3},
		"the key comes first": {nil, []event{{s, whole("tls.key")}, {2 * s, whole("tls.crt")}, {3 * s, all}}, 3 * s, cli.ExitOK, 3},
		"half written":        {nil, []event{{0, allBut("ca.crt")}, {8 * s, part("ca.crt", 0.5)}, {13 * s, all}}, 13 * s, cli.ExitOK, 2},
		"half for ever":       {nil, []event{{0, allBut("ca.crt")}, {8 * s, part("ca.crt", 0.5)}}, 14 * s, cli.ExitConfig, 2},
		"empty at the start":  {nil, []event{{0, all}, {0, part("password", 0)}, {s, all}}, s, cli.ExitOK, 1},
		"a pair that is new":  {nil, []event{{0, otherKey}, {1500 * ms, func(f *lateFiles) { f.content = newLateFiles(f.T).content; all(f) }}}, 1500 * ms, cli.ExitOK, 1},
		"wrong for ever":      {nil, []event{{0, otherKey}}, 2 * s, cli.ExitConfig, 1},
		"wrong, and no wait":  {[]string{"PGORIGIN_UPSTREAM_WAIT=0"}, []event{{0, otherKey}}, 0, cli.ExitConfig, 0},
		"wrong, then away":    {nil, []event{{0, otherKey}, {s, func(f *lateFiles) { _ = os.RemoveAll(f.dir) }}, {9 * s, func(f *lateFiles) { f.content = newLateFiles(f.T).content; all(f) }}}, 9 * s, cli.ExitOK, 2},
		"the wait of another": {
			[]string{
				"PGORIGIN_UPSTREAM_WAIT=0", "PGORIGIN_ORIGINS=two", "PGORIGIN_TWO_UPSTREAM_WAIT=3s", "PGORIGIN_TWO_UPSTREAM_ADDR=two.internal",
				"PGORIGIN_TWO_LISTEN_ADDR=" + cmdtest.FreeAddr(t),
			},
			nil, 3 * s, cli.ExitConfig, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newLateFiles(t)
			for _, setting := range row.env {
				variable, _, _ := strings.Cut(setting, "=")
				f.env = slices.DeleteFunc(f.env, func(s string) bool { return strings.HasPrefix(s, variable+"=") })
			}
			f.env = append(f.env, row.env...)
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				for _, e := range row.events {
					if e.after == 0 {
						e.do(f)
						continue
					}
					defer time.AfterFunc(e.after-ms, func() { e.do(f) }).Stop() // and not at the time of a look
				}
				var stderr bytes.Buffer
				p := cli.Process{Env: f.env, Stdout: io.Discard, Stderr: &stderr}
				served, code := prepare(t.Context(), p, Surroundings{})
				if took := time.Since(began); took != row.want || code != row.code {
					t.Errorf("code %d after %v, want %d after %v\n%s", code, took, row.code, row.want, &stderr)
				}
				if n := strings.Count(stderr.String(), `"message":"waiting for files"`); n != row.lines {
					t.Errorf("%d warnings, want %d\n%s", n, row.lines, &stderr)
				}
				if served != nil {
					for _, o := range served.origins {
						if len(o.listeners) != 1 {
							t.Errorf("%d listeners", len(o.listeners))
						}
					}
					served.closeListeners()
					served.closeUpstreams()
					return
				}
				var report strings.Builder
				_, problems := New(cli.Process{Env: f.env, Stdout: io.Discard, Stderr: io.Discard})
				if config.Report(&report, problems); !strings.HasSuffix(stderr.String(), report.String()) {
					t.Errorf("the end of\n%s\nis not\n%s", &stderr, &report)
				}
			})
		})
	}
}

// TestAStartEndsWhileItWaits: at once, with 0 and without a report, and nothing stays bound.
func TestAStartEndsWhileItWaits(t *testing.T) {
	f := newLateFiles(t)
	f.env = append(f.env, "PGORIGIN_UPSTREAM_WAIT=1m")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second+time.Millisecond, stop)
		var stderr bytes.Buffer
		s, code := prepare(ctx, cli.Process{Env: f.env, Stdout: io.Discard, Stderr: &stderr}, Surroundings{})
		if s != nil || code != cli.ExitOK || time.Since(began) != 3*time.Second+time.Millisecond {
			t.Errorf("%v, code %d after %v", s, code, time.Since(began))
		}
		if strings.Contains(stderr.String(), "pgorigin: the configuration has") {
			t.Errorf("it reports\n%s", &stderr)
		}
	})
	for _, setting := range f.env {
		if addr, ok := strings.CutPrefix(setting, "PGORIGIN_LISTEN_ADDR="); ok {
			ln, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			_ = ln.Close()
		}
	}
}

// TestARequestToEndOutlivesTheWait: it may come while the last look finds everything in order.
func TestARequestToEndOutlivesTheWait(t *testing.T) {
	waiting, _ := built(t, []string{cmdtest.Upstream}, io.Discard)
	next, _ := built(t, []string{cmdtest.Upstream}, io.Discard)
	waiting.requestEnd()
	next.adopt(waiting)
	select {
	case <-next.quit:
	default:
		t.Error("it is lost")
	}
}

// TestProbesWhileFilesAreMissing: alive, and neither started nor ready, for a reason. A client that comes then is served later.
func TestProbesWhileFilesAreMissing(t *testing.T) {
	env := cmdtest.StartUpstream(t)
	path := filepath.Join(t.TempDir(), "late", "ca.crt")
	pem := strings.TrimPrefix(env[1], "PGORIGIN_TLS_CA_PEM=")
	admin := cmdtest.FreeAddr(t)
	r := &cmdtest.Running{Listen: cmdtest.FreeAddr(t), Health: cmdtest.FreeAddr(t), Stderr: cmdtest.NewLogWatcher(), Code: make(chan int, 1)}
	env = append(env[:1], "PGORIGIN_TLS_CA_FILE="+path, "PGORIGIN_UPSTREAM_WAIT=1h", "PGORIGIN_ADMIN_ADDR="+admin,
		"PGORIGIN_LISTEN_ADDR="+r.Listen, "PGORIGIN_HEALTH_ADDR="+r.Health)
	run := func() {
		r.Code <- Run(t.Context(), cli.Process{Env: env, Stdout: io.Discard, Stderr: r.Stderr, Build: cli.ReadBuild("", "", "")})
	}
	go run()
	line := r.Stderr.Wait(t, "waiting for files")
	if line["level"] != "warn" || line["timeout"] != 3600.0 {
		t.Errorf("line is %v", line)
	}
	client := make(chan struct{})
	go func() {
		defer close(client)
		r.Login(t)
	}()
	for _, row := range []struct {
		path string
		code int
		text string
	}{
		{"/livez", 200, "ok"},
		{"/startupz", 503, `files: PGORIGIN_TLS_CA_FILE: saw "` + path + `": cannot be read: no such file or directory`},
		{"/readyz", 503, "files: PGORIGIN_TLS_CA_FILE"},
		{"/statusz", 200, `"started": false`},
		{"/metrics", 200, "pgorigin_build_info"},
		{"/", 200, "PGORIGIN_TLS_CA_FILE"},
	} {
		if code, body := r.Get(t, row.path); code != row.code || !strings.Contains(body, row.text) {
			t.Errorf("%s = %d\n%s", row.path, code, body)
		}
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(pem), 0o600); err != nil {
		t.Fatal(err)
	}
	<-client
	r.Stderr.Wait(t, "ready")
	for _, path := range []string{"/livez", "/startupz", "/readyz"} {
		if code, body := r.Get(t, path+"?verbose"); code != http.StatusOK || strings.Contains(body, "files") {
			t.Errorf("%s = %d %s", path, code, body)
		}
	}
	quit := func() {
		resp, err := http.Post("http://"+admin+quitPath, "", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		r.WantExit(t, cli.ExitOK)
	}
	quit()

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.Stderr = cmdtest.NewLogWatcher()
	go run()
	r.Stderr.Wait(t, "waiting for files")
	quit()
}
