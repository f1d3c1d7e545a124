//go:build image

package image

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/engine"
)

// execImage is made as docs/how-to/exec.md says: the program of the image, in front of an application that knows nothing of it.
const (
	execImage      = "localhost/pgorigin-demo-exec:tested"
	execPage       = "docs/how-to/exec.md"
	execDockerfile = `FROM python:3.13-slim
COPY --from=pgorigin:dev /pgorigin /pgorigin
COPY . /app
ENTRYPOINT ["/pgorigin", "exec", "--"]
`
)

// runExec runs commands in one container with pgorigin, which is its first process.
func (s *stack) runExec(ctx context.Context, t *testing.T) {
	if page := string(read(t, filepath.Join(repository, execPage))); !strings.Contains(page, execDockerfile) {
		t.Fatalf("%s has another Dockerfile than\n%s", execPage, execDockerfile)
	}
	file := strings.NewReplacer("python:3.13-slim", serversImage, "pgorigin:dev", tested, "COPY . /app\n", "").Replace(execDockerfile)
	if err := s.engine.Build(ctx, execImage, file); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		script, log string
		stop        bool
		code        int
	}{
		"exit code": {
			script: `psql "$DATABASE_URL" -Atc "SELECT 'beside ' || current_user"; exit 7`,
			log:    "beside app", code: 7,
		},
		"podman stop": {
			script: `trap 'echo stopped; exit 3' TERM; echo up; while :; do sleep 0.1; done`,
			log:    "up\nstopped", stop: true, code: 3,
		},
		"orphans": {
			script: `cat /proc/1/comm; for i in 1 2 3; do (sleep 0.1 &); done; sleep 1
				grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || echo none is left`,
			log: "pgorigin\nnone is left",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.startExec(ctx, t, tt.script)
			if tt.stop {
				s.stop(ctx, t, c)
			}
			if code, err := c.Wait(ctx); err != nil || code != tt.code {
				t.Errorf("it ended with %d, %v, not %d", code, err, tt.code)
			}
			if got := c.Logs(ctx); got != tt.log {
				t.Errorf("it says %q, not %q", got, tt.log)
			}
		})
	}
}

// startExec starts a container that has the URL as the application knows it, and runs a script of bash.
func (s *stack) startExec(ctx context.Context, t *testing.T, script string) *engine.Container {
	t.Helper()
	args := append(s.network(service{}), "--stop-timeout="+strconv.Itoa(int(execStop.Seconds())),
		"--env=DATABASE_URL=postgres://app:demo@pgbouncer:6432/postgres?sslmode=require",
		"--env=PGORIGIN_TLS_CA_PEM="+s.demoCA(ctx), "--env=PGORIGIN_LOG_LEVEL=error", execImage, "bash", "-uc", script)
	c, err := s.engine.Start(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// execStop is how long the engine waits before SIGKILL.
const execStop = time.Minute

// stop waits until the command is there, and stops the container as users do. SIGKILL would come after execStop.
func (s *stack) stop(ctx context.Context, t *testing.T, c *engine.Container) {
	t.Helper()
	for !strings.Contains(c.Logs(ctx), "up") {
		if ctx.Err() != nil {
			t.Fatal(context.Cause(ctx))
		}
		time.Sleep(100 * time.Millisecond)
	}
	if out, err := s.engine.Podman(ctx, "stop", c.Name).CombinedOutput(); err != nil {
		t.Fatalf("podman stop: %v\n%s", err, out)
	}
}
