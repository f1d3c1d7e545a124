package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
)

// TestCheckTriesToListen: a port that is taken fails the check, unless a pgorigin with these settings has it.
func TestCheckTriesToListen(t *testing.T) {
	w := newCheckWorld()
	upstream := startScripted(t, overTLS(w.good, sasl())).addr
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	health := func(status string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/statusz" {
				w.Write([]byte(status))
			}
		}))
		t.Cleanup(srv.Close)
		return strings.TrimPrefix(srv.URL, "http://")
	}
	for _, row := range []struct {
		name, listen, health, result, text, cure string
	}{
		{"free", "127.0.0.44:6432", "127.0.0.44:9632", "ok", "127.0.0.44:6432, 127.0.0.44:9632 free", ""},
		{"taken", addr, "127.0.0.44:9632", "failed", "PGORIGIN_LISTEN_ADDR: listen tcp " + addr + ": bind: address already in use", "Set PGORIGIN_LISTEN_ADDR to a free address"},
		{"health taken", "127.0.0.44:6432", addr, "failed", "PGORIGIN_HEALTH_ADDR: listen tcp " + addr, "Set PGORIGIN_HEALTH_ADDR to a free address"},
		{"taken, health off", addr, "off", "warning", "PGORIGIN_HEALTH_ADDR is off", ""},
		{"of another machine", "203.0.113.7:6432", "off", "failed", "cannot assign requested address", "Set PGORIGIN_LISTEN_ADDR to an address of this machine"},
		{"held by pgorigin", addr, health(`{"version":"1","origins":[{"listen":["` + addr + `"]}]}`), "ok", "held by pgorigin", ""},
		{"pgorigin runs elsewhere", addr, health(`{"version":"1","origins":[{"listen":["127.0.0.1:1"]}]}`), "failed", "in use", "Set PGORIGIN_LISTEN_ADDR"},
		{"no pgorigin answers", addr, health(`{"status":"green"}`), "failed", "in use", "Set PGORIGIN_LISTEN_ADDR"},
	} {
		env := w.env(upstream, "PGORIGIN_LISTEN_ALLOW_NON_LOOPBACK=true", "PGORIGIN_LISTEN_ADDR="+row.listen, "PGORIGIN_HEALTH_ADDR="+row.health)
		out, got := checked(t, env)
		stage := out.Stages[len(out.Stages)-1]
		if stage.Stage != "listen" || stage.Result != row.result || !strings.Contains(stage.Text, row.text) || !strings.HasPrefix(stage.Cure, row.cure) {
			t.Errorf("%s: %+v", row.name, stage)
		}
		if (got.code == cli.ExitOK) != (row.result != "failed") || (out.Failed != nil) != (row.result == "failed") {
			t.Errorf("%s: exit code %d, failed is %+v", row.name, got.code, out.Failed)
		}
		if out.Upstreams[0].Addresses[0].Stages[0].Result != "ok" {
			t.Errorf("%s: the upstream was not checked", row.name)
		}
	}
	// An upstream on the command line needs no pgorigin that listens.
	out, _ := checked(t, w.env("db.invalid", "PGORIGIN_LISTEN_ADDR="+addr), upstream)
	if out.Failed != nil || len(out.Stages) != 2 {
		t.Errorf("%+v", out)
	}
}

// TestCheckWarnsOfClientsWithTLS: the login of such a client cannot be bound, and check itself has no client.
func TestCheckWarnsOfClientsWithTLS(t *testing.T) {
	w := newCheckWorld()
	upstream := startScripted(t, overTLS(w.good, sasl())).addr
	for settings, want := range map[string]string{
		"":                                "ok",
		"PGORIGIN_LISTEN_TLS=self-signed": "warning",
		"PGORIGIN_LISTEN_TLS=self-signed PGORIGIN_AUTH_CHANNEL_BINDING=pass":   "warning",
		"PGORIGIN_LISTEN_TLS=self-signed PGORIGIN_AUTH_CHANNEL_BINDING=bridge": "ok",
	} {
		out, got := checked(t, w.env(upstream, strings.Fields(settings)...))
		stages := out.Upstreams[0].Addresses[0].Stages
		last := stages[len(stages)-1]
		if got.code != cli.ExitOK || last.Result != want ||
			(want == "ok") == strings.Contains(last.Text, "set PGORIGIN_AUTH_CHANNEL_BINDING=bridge") {
			t.Errorf("%q: %d, %+v", settings, got.code, last)
		}
	}
}

// TestCheckBesideARunningPgorigin is what "kubectl exec POD -- pgorigin check" does.
func TestCheckBesideARunningPgorigin(t *testing.T) {
	env := append(cmdtest.StartUpstream(t), "PGORIGIN_LISTEN_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_HEALTH_ADDR="+cmdtest.FreeAddr(t))
	stderr := cmdtest.NewLogWatcher()
	code := make(chan int, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { code <- run(ctx, nil, env, io.Discard, stderr) }()
	stderr.Wait(t, "ready")
	out, got := checked(t, env, "--no-startup")
	if got.code != cli.ExitOK || !strings.Contains(out.Stages[2].Text, "held by pgorigin") {
		t.Errorf("%s", got.stdout)
	}
	stop()
	cmdtest.WantCode(t, code, cli.ExitOK)
}
