package sidecar

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestOutageIsSeen: while a client waits, log, status, page, notes and metrics say so at once. Then it is served, and they
// say that, too.
func TestOutageIsSeen(t *testing.T) {
	env := cmdtest.StartUpstream(t)
	real, away := strings.TrimPrefix(env[0], "PGORIGIN_UPSTREAM_ADDR="), cmdtest.FreeAddr(t)
	r := start(t, append(env, "PGORIGIN_UPSTREAM_ADDR="+away, "PGORIGIN_UPSTREAM_WAIT=1m")...)
	client := r.Connect(t)
	client.Send(pgtest.Startup("user", "app"))
	line := r.Stderr.Wait(t, "upstream is away, clients wait")
	if line["reason"] != "upstream_refused" || line["wait_limit"] != 60.0 || line["cure"] == nil {
		t.Errorf("the line is %v", line)
	}
	origin := r.status(t).Origins[0]
	if w := origin.Wait; !w.Away || w.Waiting != 1 || w.Problem == nil || w.Problem.Reason != "upstream_refused" || w.Since.IsZero() {
		t.Errorf("the status says %+v", w)
	}
	if a := origin.Addresses; len(a) != 1 || a[0].Address != away || a[0].State != health.AddressRefused || a[0].Problem == nil {
		t.Errorf("the addresses are %+v", a)
	}
	wants := map[string][]string{
		"/":               {"Waiting for the upstream", "The upstream is away, 1 client waits"},
		"/readyz?verbose": {"[!]upstream: ", "upstream_refused"},
		"/metrics": {
			`pgorigin_upstream_waiting_clients{origin="default"} 1`,
			`pgorigin_upstream_addresses{origin="default",state="refused"} 1`,
		},
	}
	for path, texts := range wants {
		_, body := r.Get(t, path)
		cmdtest.Contains(t, body, texts...)
	}

	const refused = `pgorigin_upstream_wait_probes_total{origin="default",reason="upstream_refused"} `
	for end := time.Now().Add(cmdtest.Patience); ; time.Sleep(10 * time.Millisecond) {
		if _, body := r.Get(t, "/metrics"); !strings.Contains(body, refused+"0\n") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no probe is counted")
		}
	}

	forward(t, away, real)
	client.Expect(pgtest.AuthenticationOk(), pgtest.BackendKeyData("\x00\x00\x00\x01abcd"), pgtest.ReadyForQuery('I'))
	if line := r.Stderr.Wait(t, "upstream is back"); line["clients_waited"] != 1.0 || line["clients_failed"] != 0.0 {
		t.Errorf("the line is %v", line)
	}
	client.Send(pgtest.Message('X', ""))
	if line := r.Stderr.Wait(t, "session ended"); line["reason"] != "ok" || line["waited"] == nil {
		t.Errorf("the line of the session is %v", line)
	}
	if w := r.status(t).Origins[0]; w.Wait.Away || w.Wait.Waiting != 0 || w.Probe.State != health.ProbeUp {
		t.Errorf("the status says %+v", w.Wait)
	}
	_, metrics := r.Get(t, "/metrics")
	cmdtest.Contains(t, metrics, `pgorigin_upstream_waiting_clients{origin="default"} 0`,
		`pgorigin_upstream_wait_duration_seconds_count{origin="default",result="served"} 1`)
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// TestWaitInVain: a client is told how long it has waited, and what to raise.
func TestWaitInVain(t *testing.T) {
	env := append(cmdtest.StartUpstream(t), "PGORIGIN_UPSTREAM_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_UPSTREAM_WAIT=600ms")
	r := start(t, env...)
	client := r.Connect(t)
	began := time.Now()
	client.Send(pgtest.Startup("user", "app"))
	e := client.ExpectError("57P03")
	if took := time.Since(began); took < 600*time.Millisecond {
		t.Errorf("the error comes after %v", took)
	} else {
		t.Logf("after %v: %s\n%s", took, e.Message, e.Hint)
	}
	cmdtest.Contains(t, e.Message, "pgorigin: upstream 127.0.0.1:", "refused", "waited ")
	cmdtest.Contains(t, e.Hint, "PGORIGIN_UPSTREAM_WAIT")
	if line := r.Stderr.Wait(t, "session ended"); line["reason"] != "upstream_refused" || line["sqlstate"] != "57P03" {
		t.Errorf("the line of the session is %v", line)
	} else if waited, ok := line["waited"].(float64); !ok || waited < 0.1 {
		t.Errorf("it has waited %v", line["waited"])
	}
	_, metrics := r.Get(t, "/metrics")
	cmdtest.Contains(t, metrics, `pgorigin_upstream_wait_duration_seconds_count{origin="default",result="failed"} 1`)
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// TestEndOfAWait: a client that leaves, and a drain, end the wait at once, and neither is a failure of the upstream.
func TestEndOfAWait(t *testing.T) {
	env := append(cmdtest.StartUpstream(t), "PGORIGIN_UPSTREAM_ADDR="+cmdtest.FreeAddr(t), "PGORIGIN_UPSTREAM_WAIT=1m")
	r := start(t, env...)
	leaves, stays := r.Connect(t), r.Connect(t)
	for _, client := range []*pgtest.Peer{leaves, stays} {
		client.Send(pgtest.Startup("user", "app"))
	}
	r.awaitMetric(t, `pgorigin_upstream_waiting_clients{origin="default"} 2`)
	_ = leaves.Close()
	r.awaitMetric(t, `pgorigin_upstream_wait_duration_seconds_count{origin="default",result="aborted"} 1`)
	if line := r.Stderr.Wait(t, "session ended"); line["reason"] != "client_gone" || line["waited"] == nil {
		t.Errorf("the line of the session is %v", line)
	}
	r.Stop()
	stays.ExpectError("57P03")
	r.WantExit(t, cli.ExitOK)
}

// awaitMetric waits for a line of /metrics.
func (r *running) awaitMetric(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(cmdtest.Patience); ; time.Sleep(10 * time.Millisecond) {
		_, body := r.Get(t, "/metrics")
		if strings.Contains(body, "\n"+want+"\n") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no %s in\n%s", want, body)
		}
	}
}

// forward begins to listen at addr, and passes connections on.
func forward(t *testing.T, addr, to string) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
}

// pass copies from one connection to the other until one of them ends.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}
