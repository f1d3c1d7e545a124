//go:build promtool

package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// What a live process says of sessions, probes, a cancel request and a refused upstream passes Prometheus' own linter.
func TestPromtool(t *testing.T) {
	ctx := testContext(t)
	origin, err := shared.lab.Launch(shared.binary, shared.bouncer.Addr, "PGORIGIN_READINESS=upstream", "PGORIGIN_WARM_SPARES=1",
		"PGORIGIN_ORIGINS=nobody", "PGORIGIN_NOBODY_UPSTREAM_ADDR=127.0.0.1:1", "PGORIGIN_NOBODY_LISTEN_ADDR=unix:"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Stop()
	for _, message := range []string{`"upstream is up"`, `"upstream is down"`} {
		if _, err := origin.Log.AwaitLine(ctx, message); err != nil {
			t.Fatal(err)
		}
	}
	conn := connect(ctx, t, origin.Addr)
	mustExec(ctx, t, conn, "SELECT 1")
	cancel(ctx, t, conn)
	if err := conn.Close(ctx); err != nil {
		t.Fatal(err)
	}
	status, metrics, err := origin.Get(ctx, "/metrics")
	if err != nil || status != 200 {
		t.Fatalf("/metrics answers %d, %v", status, err)
	}
	check := exec.CommandContext(ctx, "promtool", "check", "metrics")
	check.Stdin = strings.NewReader(metrics)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	check = exec.CommandContext(ctx, "promtool", "check", "metrics")
	check.Stdin = strings.NewReader("# TYPE pgorigin_bad_seconds counter\npgorigin_bad_seconds 1\n")
	if out, err := check.CombinedOutput(); err == nil {
		t.Errorf("promtool finds nothing wrong with a counter without _total, so this test would not either: %s", out)
	}
}
