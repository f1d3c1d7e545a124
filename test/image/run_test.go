//go:build image

package image

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/test/internal/engine"
	"github.com/pgorigin/pgorigin/test/servers"
)

// sizeLimit is the design's budget for the image.
const sizeLimit = 16_000_000

// hardened is how docs/how-to/compose.md says to run it.
var hardened = []string{"--network=host", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"}

const tested = "localhost/pgorigin:tested"

func build(t *testing.T) *engine.Engine {
	t.Helper()
	e := builder(t)
	if err := e.Image(testContext(t), repository, "", nil, append(release, "IMAGE="+tested)...); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestImageServes(t *testing.T) {
	e, ctx := build(t), testContext(t)
	port, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	health, err := shared.lab.Port()
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Start(ctx, append(hardened,
		"--volume="+shared.lab.CAFile+":/etc/pgorigin/ca.crt:ro",
		"--env=PGORIGIN_UPSTREAM_ADDR="+shared.bouncer.Addr,
		"--env=PGORIGIN_TLS_SERVER_NAME="+servers.ServerName,
		"--env=PGORIGIN_TLS_CA_FILE=/etc/pgorigin/ca.crt",
		"--env=PGORIGIN_LISTEN_ADDR=127.0.0.1:"+port,
		"--env=PGORIGIN_HEALTH_ADDR=127.0.0.1:"+health, tested)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the container's log:\n%s", c.Logs(t.Context()))
		}
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := servers.Poll(ctx, func() error { return c.Healthy(ctx) }); err != nil {
		t.Fatal(err)
	}
	if status, err := e.Inspect(ctx, c.Name, "{{.State.Health.Status}}"); err != nil || status != "healthy" {
		t.Errorf("podman says %q, %v; want healthy", status, err)
	}
	checkConfined(t, c)

	out, err := shared.lab.Psql(ctx, servers.DSN("127.0.0.1:"+port), "-Atc", "SELECT 'through the image'").CombinedOutput()
	if err != nil || string(out) != "through the image\n" {
		t.Errorf("psql: %v: %s", err, out)
	}
	if _, err := shared.bouncer.Log.AwaitLine(ctx, "login attempt", "tls=TLSv1.3"); err != nil {
		t.Error(err)
	}

	if err := c.Signal(ctx, "TERM"); err != nil {
		t.Fatal(err)
	}
	code, err := c.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if code != 0 {
		t.Errorf("SIGTERM ended it with exit code %d, want 0", code)
	}
	if err := c.Healthy(ctx); err == nil {
		t.Error("the health check of a container that has ended succeeds")
	}
}

// checkConfined asks the kernel who the program is and what it may do.
func checkConfined(t *testing.T, c *engine.Container) {
	t.Helper()
	pid, err := c.PID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`Uid:\s65532\s65532\s65532\s65532`, `Gid:\s65532\s65532\s65532\s65532`,
		`CapPrm:\s0+`, `CapEff:\s0+`, `CapBnd:\s0+`, `NoNewPrivs:\s1`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).Match(status) {
			t.Errorf("no %q in the process's status:\n%s", want, status)
		}
	}
	mounts, err := os.ReadFile("/proc/" + pid + "/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^\S+ / \S+ ro,`).Match(mounts) {
		t.Errorf("the root is not read-only:\n%s", mounts)
	}
}

func TestImageIsSmallAndLabelled(t *testing.T) {
	e, ctx := build(t), testContext(t)
	size, err := e.Inspect(ctx, tested, "{{.Size}}")
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := strconv.Atoi(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("image: %.2f MB, limit %.0f MB", float64(bytes)/1e6, sizeLimit/1e6)
	if bytes > sizeLimit {
		t.Errorf("the image has %d bytes, limit %d", bytes, sizeLimit)
	}
	for template, want := range map[string]string{
		"{{.Config.User}}":       "65532:65532",
		"{{.Config.Entrypoint}}": "[/pgorigin]",
		"{{.Config.Cmd}}":        "[run]",
		`{{index .Labels "org.opencontainers.image.version"}}`:  version,
		`{{index .Labels "org.opencontainers.image.revision"}}`: revision,
		`{{index .Labels "org.opencontainers.image.created"}}`:  created,
		`{{index .Labels "org.opencontainers.image.licenses"}}`: "Apache-2.0",
	} {
		if got, err := e.Inspect(ctx, tested, template); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", template, got, err, want)
		}
	}
}

// A container that cannot work says why and ends with the code that supervisors can tell from a crash.
func TestImageWithoutSettings(t *testing.T) {
	e, ctx := build(t), testContext(t)
	run := append([]string{"run", "--rm", "--pull=never", "--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096"}, hardened...)
	out, err := e.Podman(ctx, append(run, tested)...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 78 {
		t.Errorf("it ended with %v, want exit code 78", err)
	}
	if !strings.Contains(string(out), "PGORIGIN_UPSTREAM_ADDR") {
		t.Errorf("the variable that is missing is not named:\n%s", out)
	}
}
