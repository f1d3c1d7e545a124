package sidecar

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// adminRequest is what a test sends to the handler.
type adminRequest struct {
	method, target, host, origin string
}

// answerTo returns the answer, and whether the end was asked for.
func answerTo(r adminRequest) (answer *http.Response, quit bool) {
	req := httptest.NewRequest(r.method, r.target, http.NoBody)
	req.Host = r.host
	if r.origin != "" {
		req.Header.Set("Origin", r.origin)
	}
	rec := httptest.NewRecorder()
	adminHandler(func() { quit = true }).ServeHTTP(rec, req)
	return rec.Result(), quit
}

func TestQuit(t *testing.T) {
	const ours = "127.0.0.1:9633"
	for _, row := range []struct {
		story string
		adminRequest
		code int
		quit bool
	}{
		{"as it should be", adminRequest{"POST", quitPath, ours, ""}, 200, true},
		{"by name", adminRequest{"POST", quitPath, "LOCALHOST:9633", ""}, 200, true},
		{"without port", adminRequest{"POST", quitPath, "[::1]", ""}, 200, true},
		{"over a Unix socket", adminRequest{"POST", quitPath, "localhost", ""}, 200, true},
		{"typed into a browser", adminRequest{"GET", quitPath, ours, ""}, 405, false},
		{"a wrong method", adminRequest{"PUT", quitPath, ours, ""}, 405, false},
		{"a form on a web page", adminRequest{"POST", quitPath, ours, "https://evil.example"}, 403, false},
		{"a form in a sandbox", adminRequest{"POST", quitPath, ours, "null"}, 403, false},
		{"a page whose name was rebound", adminRequest{"POST", quitPath, "evil.example:9633", ""}, 403, false},
		{"one with a name that looks like ours", adminRequest{"POST", quitPath, "localhost.evil.example", ""}, 403, false},
		{"an address of this machine that others can reach", adminRequest{"POST", quitPath, "192.0.2.7:9633", ""}, 403, false},
		{"the address of all", adminRequest{"POST", quitPath, "0.0.0.0:9633", ""}, 403, false},
		{"no host", adminRequest{"POST", quitPath, "", ""}, 403, false},
		{"a host that is a socket", adminRequest{"POST", quitPath, "unix:9633", ""}, 403, false},
		{"another path", adminRequest{"POST", "/quit", ours, ""}, 404, false},
	} {
		answer, quit := answerTo(row.adminRequest)
		if answer.StatusCode != row.code || quit != row.quit {
			t.Errorf("%s: answer %d, asked to end %v, want %d and %v", row.story, answer.StatusCode, quit, row.code, row.quit)
		}
		if row.code == http.StatusMethodNotAllowed && answer.Header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: Allow is %q", row.story, answer.Header.Get("Allow"))
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, row := range []struct {
		target string
		code   int
		want   string
	}{
		{"/debug/pprof/goroutine?debug=2", 200, "TestProfiles"},
		{"/debug/pprof/heap", 200, "\x1f\x8b"}, // gzip, as "go tool pprof" expects
		{"/debug/pprof/nonsense", 404, "goroutine"},
		{"/debug/pprof/", 404, "goroutine"},
		{"/debug/pprof/profile?seconds=0", 400, "from 1 to 300"},
		{"/debug/pprof/profile?seconds=301", 400, "from 1 to 300"},
		{"/debug/pprof/profile?seconds=x", 400, "from 1 to 300"},
	} {
		answer, _ := answerTo(adminRequest{"GET", row.target, "localhost", ""})
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != row.code || !strings.Contains(string(body), row.want) {
			t.Errorf("%s: %d %.200q, %v, want %d and %q", row.target, answer.StatusCode, body, err, row.code, row.want)
		}
	}
}

// TestCPUProfileOutlastsTheTimeouts: those of the server are for short answers.
func TestCPUProfileOutlastsTheTimeouts(t *testing.T) {
	srv := httptest.NewUnstartedServer(adminHandler(func() {}))
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	srv.Start()
	defer srv.Close()
	began := time.Now()
	resp, err := http.Get(srv.URL + "/debug/pprof/profile?seconds=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "\x1f\x8b") {
		t.Errorf("%d, %d bytes, %v", resp.StatusCode, len(body), err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("it was cut off after %v", took)
	}
}

// Whoever asks for the end is answered before it begins: it may come at once, and takes all connections with it.
func TestQuitIsAnsweredFirst(t *testing.T) {
	req := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9633"+quitPath, http.NoBody)
	rec := httptest.NewRecorder()
	before := ""
	adminHandler(func() {
		if rec.Flushed {
			before = rec.Body.String()
		}
	}).ServeHTTP(rec, req)
	if before == "" || before != rec.Body.String() {
		t.Errorf("%q was sent before, of %q", before, rec.Body)
	}
}

func TestAdminAddrInUse(t *testing.T) {
	taken, err := net.Listen("tcp", cmdtest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	health := cmdtest.FreeAddr(t)
	got := runToEnd(t, append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_HEALTH_ADDR="+health,
		"PGORIGIN_ADMIN_ADDR="+taken.Addr().String()))
	if got.code != cli.ExitFailed || !strings.Contains(got.stderr, "PGORIGIN_ADMIN_ADDR") || !strings.Contains(got.stderr, "address already in use") {
		t.Errorf("%+v", got)
	}
	ln, err := net.Listen("tcp", health)
	if err != nil {
		t.Fatalf("another listener was left behind: %v", err)
	}
	_ = ln.Close()
}
