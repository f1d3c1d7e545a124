package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// patience bounds waits for events that a broken program would never bring.
const patience = 20 * time.Second

// running is a pgorigin within this process.
type running struct {
	listen, health string
	stderr         *logWatcher
	stop           context.CancelFunc // as SIGTERM
	signals        chan os.Signal
	instance       *instance
	code           chan int
}

func start(t *testing.T, env ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{
		listen: freeAddr(t), health: freeAddr(t), stderr: newLogWatcher(),
		stop: stop, signals: make(chan os.Signal, 2), code: make(chan int, 1),
	}
	env = append(env, "PGORIGIN_LISTEN_ADDR="+r.listen, "PGORIGIN_HEALTH_ADDR="+r.health)
	p := cli.Process{Env: env, Stdout: io.Discard, Stderr: r.stderr}
	in, problems := newInstance(p)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if code := in.listen(ctx, p); code != cli.ExitOK {
		text, _ := r.stderr.read()
		t.Fatalf("exit code %d\n%s", code, text)
	}
	r.instance = in
	go func() { r.code <- in.serve(ctx, r.signals) }()
	r.stderr.wait(t, "ready")
	return r
}

// wantExit waits for the end.
func (r *running) wantExit(t *testing.T, want int) {
	t.Helper()
	wantCode(t, r.code, want)
}

// login opens a session and waits until bytes have been relayed both ways: the client learns that it is logged in a
// moment before the server knows.
func (r *running) login(t *testing.T) *pgtest.Peer {
	t.Helper()
	client := r.connect(t)
	client.Send(pgtest.Startup("user", "app", "database", "shop", "application_name", "serve_test"))
	client.Expect(pgtest.AuthenticationOk(), pgtest.BackendKeyData("\x00\x00\x00\x01abcd"), pgtest.ReadyForQuery('I'))
	client.Send(pgtest.Message('S', ""))
	client.Expect(pgtest.ReadyForQuery('I'))
	return client
}

// begin opens a session that a drain waits for, because it is in a transaction.
func (r *running) begin(t *testing.T) *pgtest.Peer {
	t.Helper()
	client := r.login(t)
	client.Send(pgtest.Message('Q', "BEGIN\x00"))
	client.Expect(pgtest.ReadyForQuery('T'))
	return client
}

func (r *running) connect(t *testing.T) *pgtest.Peer {
	t.Helper()
	conn, err := net.Dial("tcp", r.listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pgtest.NewPeer(t, conn)
}

// get returns the status code and the body of a health endpoint.
func (r *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + r.health + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestSessionFromStartToDrain(t *testing.T) {
	r := start(t, startUpstream(t)...)
	for _, path := range []string{"/startupz", "/livez", "/readyz", "/healthz"} {
		if code, body := r.get(t, path); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s = %d %q", path, code, body)
		}
	}
	client := r.begin(t)

	r.stop()
	r.stderr.wait(t, "draining")
	late := r.connect(t)
	late.Send(pgtest.Startup("user", "late"))
	if e := late.ExpectError("57P03"); !strings.HasPrefix(e.Hint, "Connect again") {
		t.Errorf("hint is %q", e.Hint)
	}
	if code, _ := r.get(t, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz = %d while draining", code)
	}
	if code, _ := r.get(t, "/livez"); code != http.StatusOK {
		t.Errorf("/livez = %d while draining", code)
	}
	_ = late.Close()
	client.Send(pgtest.Terminate())
	client.ExpectEOF()
	_ = client.Close() // or the session lingers
	r.wantExit(t, cli.ExitOK)
	r.stderr.wait(t, "stopped")
	if _, err := net.Dial("tcp", r.listen); err == nil {
		t.Error("the listener is still there")
	}
	checkSessionLog(t, r)
}

// checkSessionLog looks at what TestSessionFromStartToDrain logged.
func checkSessionLog(t *testing.T, r *running) {
	t.Helper()
	log, _ := r.stderr.read()
	var session map[string]any
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if fields["message"] == "session ended" && fields["reason"] == "ok" {
			session = fields
		}
	}
	for key, want := range map[string]any{
		"level": "info", "origin": "default", "user": "app", "database": "shop", "application_name": "serve_test",
		"auth_method": "none", "phase": "relay", "tls_version": "1.3", "tls_group": "X25519MLKEM768", "tls_peer": "127.0.0.1",
	} {
		if session[key] != want {
			t.Errorf("%s is %v, want %v, in %v", key, session[key], want, session)
		}
	}
	if strings.Contains(log, "BEGIN CERTIFICATE") || !strings.Contains(log, `"tls_ca_pem":"(set)"`) {
		t.Error("the settings are not logged, or with the text of the CA")
	}
}

func TestSecondSignalCutsTheDrain(t *testing.T) {
	r := start(t, startUpstream(t)...)
	client := r.begin(t)
	r.signals <- syscall.SIGTERM
	r.stderr.wait(t, "draining")
	r.signals <- syscall.SIGTERM
	client.ExpectError("57P01")
	_ = client.Close()
	r.wantExit(t, cli.ExitFailed)
	if line := r.stderr.wait(t, "drain cut short"); line["cause"] != "another signal came" {
		t.Errorf("line is %v", line)
	}
}

func TestDrainTimeoutCutsTheDrain(t *testing.T) {
	r := start(t, append(startUpstream(t), "PGORIGIN_SHUTDOWN_TIMEOUT=50ms")...)
	client := r.begin(t)
	r.signals <- os.Interrupt
	client.ExpectError("57P01")
	_ = client.Close()
	r.wantExit(t, cli.ExitFailed)
	if line := r.stderr.wait(t, "drain cut short"); line["cause"] != "sessions were still running after 50ms" {
		t.Errorf("line is %v", line)
	}
}

func TestRefusedUpstreamIsExplained(t *testing.T) {
	env := startUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + freeAddr(t)
	r := start(t, env...)
	client := r.connect(t)
	client.Send(pgtest.Startup("user", "app"))
	if e := client.ExpectError("08001"); !strings.Contains(e.Hint, "PGORIGIN_UPSTREAM_ADDR") {
		t.Errorf("hint is %q", e.Hint)
	}
	_ = client.Close()
	line := r.stderr.wait(t, "session ended")
	if line["reason"] != "upstream_refused" || line["level"] != "warn" {
		t.Errorf("line is %v", line)
	}
	if _, body := r.get(t, "/metrics"); !strings.Contains(body, `pgorigin_sessions_total{origin="default",reason="upstream_refused"} 1`) {
		t.Errorf("no count of it in\n%s", body)
	}
	r.stop()
	r.wantExit(t, cli.ExitOK)
}
