//go:build image

// Package image builds the container image and the files of a release for real, without a registry and without a daemon,
// runs the image in front of a pgbouncer that demands TLS, and holds two builds of the same sources against each other.
package image

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/internal/engine"
	"github.com/pgorigin/pgorigin/test/servers"
)

// What a release would take from its tag.
const (
	version  = "v9.8.7"
	revision = "0123456789abcdef0123456789abcdef01234567"
	created  = "2026-01-02T03:04:05Z"
)

var release = []string{"VERSION=" + version, "REVISION=" + revision, "CREATED=" + created}

var shared struct {
	lab     *servers.Lab
	bouncer *servers.PgBouncer
}

func TestMain(m *testing.M) {
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) error {
		shared.lab = lab
		postgres, err := lab.Postgres(ctx, servers.PostgresOptions{})
		if err != nil {
			return err
		}
		shared.bouncer, err = lab.PgBouncer(ctx, postgres, servers.PgBouncerOptions{})
		return err
	}))
}

// limit is for a test that compiles for four platforms on a slow machine with nothing in its caches.
const limit = 40 * time.Minute

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("the test takes too long"))
	t.Cleanup(cancel)
	return ctx
}

// builder makes the engine once, base images included.
func builder(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := makeEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var makeEngine = sync.OnceValues(func() (*engine.Engine, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return engine.New(ctx, repository)
})

// repository is the top of the tree, seen from here.
const repository = "../.."

// copyTree copies the sources to a folder that is not the repository, without its history.
func copyTree(ctx context.Context, t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "somewhere else")
	script := `mkdir "$1" && tar -C "$0" --exclude=./.git --exclude=./bin --exclude=./dist -c . | tar -C "$1" -x`
	if out, err := exec.CommandContext(ctx, "sh", "-c", script, repository, dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the sources: %v\n%s", err, out)
	}
	return dir
}
