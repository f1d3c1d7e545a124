package sidecar

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// running is a pgorigin within this process.
type running struct {
	*cmdtest.Running
	signals chan os.Signal
	hangups chan os.Signal
	sidecar *Sidecar
}

func start(t *testing.T, env ...string) *running {
	t.Helper()
	r := &running{signals: make(chan os.Signal, 2), hangups: make(chan os.Signal, 1)}
	r.Running = cmdtest.Start(t, env, func(ctx context.Context, p cli.Process) int {
		s, problems := New(p)
		if len(problems) > 0 {
			config.Report(p.Stderr, problems)
			return cli.ExitConfig
		}
		if code := s.listen(ctx, p); code != cli.ExitOK {
			return code
		}
		r.sidecar = s
		return s.serve(ctx, Surroundings{Signals: r.signals, Hangups: r.hangups})
	})
	return r
}

func TestSessionFromStartToDrain(t *testing.T) {
	r := start(t, cmdtest.StartUpstream(t)...)
	for _, path := range []string{"/startupz", "/livez", "/readyz", "/healthz"} {
		if code, body := r.Get(t, path); code != http.StatusOK || body != "ok\n" {
			t.Errorf("%s = %d %q", path, code, body)
		}
	}
	client := r.Begin(t)

	r.Stop()
	r.Stderr.Wait(t, "draining")
	late := r.Connect(t)
	late.Send(pgtest.Startup("user", "late"))
	if e := late.ExpectError("57P03"); !strings.HasPrefix(e.Hint, "Connect again") {
		t.Errorf("hint is %q", e.Hint)
	}
	if code, _ := r.Get(t, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz = %d while draining", code)
	}
	if code, _ := r.Get(t, "/livez"); code != http.StatusOK {
		t.Errorf("/livez = %d while draining", code)
	}
	_ = late.Close()
	client.Send(pgtest.Terminate())
	client.ExpectEOF()
	_ = client.Close() // or the session lingers
	r.WantExit(t, cli.ExitOK)
	r.Stderr.Wait(t, "stopped")
	if _, err := net.Dial("tcp", r.Listen); err == nil {
		t.Error("the listener is still there")
	}
	checkSessionLog(t, r)
}

// checkSessionLog looks at what TestSessionFromStartToDrain logged.
func checkSessionLog(t *testing.T, r *running) {
	t.Helper()
	log, _ := r.Stderr.Text()
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
	r := start(t, cmdtest.StartUpstream(t)...)
	client := r.Begin(t)
	r.signals <- syscall.SIGTERM
	r.Stderr.Wait(t, "draining")
	r.signals <- syscall.SIGTERM
	client.ExpectError("57P01")
	_ = client.Close()
	r.WantExit(t, cli.ExitFailed)
	if line := r.Stderr.Wait(t, "drain cut short"); line["cause"] != "another signal came" {
		t.Errorf("line is %v", line)
	}
}

func TestDrainTimeoutCutsTheDrain(t *testing.T) {
	r := start(t, append(cmdtest.StartUpstream(t), "PGORIGIN_SHUTDOWN_TIMEOUT=50ms")...)
	client := r.Begin(t)
	r.signals <- os.Interrupt
	client.ExpectError("57P01")
	_ = client.Close()
	r.WantExit(t, cli.ExitFailed)
	if line := r.Stderr.Wait(t, "drain cut short"); line["cause"] != "sessions were still running after 50ms" {
		t.Errorf("line is %v", line)
	}
}

func TestRefusedUpstreamIsExplained(t *testing.T) {
	env := cmdtest.StartUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + cmdtest.FreeAddr(t)
	r := start(t, append(env, "PGORIGIN_UPSTREAM_WAIT=off")...)
	client := r.Connect(t)
	client.Send(pgtest.Startup("user", "app"))
	if e := client.ExpectError("57P03"); !strings.Contains(e.Hint, "PGORIGIN_UPSTREAM_ADDR") {
		t.Errorf("hint is %q", e.Hint)
	}
	_ = client.Close()
	line := r.Stderr.Wait(t, "session ended")
	if line["reason"] != "upstream_refused" || line["level"] != "warn" {
		t.Errorf("line is %v", line)
	}
	if _, body := r.Get(t, "/metrics"); !strings.Contains(body, `pgorigin_sessions_total{origin="default",reason="upstream_refused"} 1`) {
		t.Errorf("no count of it in\n%s", body)
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}
