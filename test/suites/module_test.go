//go:build suites

package suites

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// module is a Go module with its tests, in the version that the matrix of drivers uses.
type module struct {
	path     string
	packages []string // those with tests that need a server
	repeat   string   // tests that race for something, which run ten times more; empty for none
	prepare  func(folder string) (database, sql string, err error)
	env      func(host, port string) []string

	folder, cache string
}

var pgxModule = module{
	path: "github.com/jackc/pgx/v5",
	packages: []string{
		".", "./pgconn", "./pgtype", "./pgtype/zeronull", "./pgxpool", "./stdlib", "./tracelog", "./multitracer",
	},
	prepare: func(folder string) (string, string, error) {
		text, err := os.ReadFile(filepath.Join(folder, "testsetup", "postgresql_setup.sql"))
		return "pgx_test", string(text), err
	},
	env: func(host, port string) []string {
		dsn := func(user string) string {
			return "host=" + host + " port=" + port + " user=" + user + " password=secret dbname=pgx_test sslmode=disable"
		}
		return []string{
			"PGX_TEST_DATABASE=" + dsn("pgx_scram"), "PGX_TEST_TCP_CONN_STRING=" + dsn("pgx_scram"),
			"PGX_TEST_SCRAM_PASSWORD_CONN_STRING=" + dsn("pgx_scram"),
			"PGX_TEST_MD5_PASSWORD_CONN_STRING=" + dsn("pgx_md5"),
			"PGX_TEST_PLAIN_PASSWORD_CONN_STRING=" + dsn("pgx_pw"),
		}
	},
}

var pqModule = module{
	path:     "github.com/lib/pq",
	packages: []string{".", "./hstore"},
	repeat:   "^TestContextCancelExec$",
	prepare: func(folder string) (string, string, error) {
		text, err := os.ReadFile(filepath.Join(folder, "testdata/postgres/docker-entrypoint-initdb.d/20-config.sql"))
		var lines []string
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "alter system set ssl") { // the lab's server has its own certificate
				lines = append(lines, line)
			}
		}
		return "pqgo", "create role pqgo superuser login;" + strings.Join(lines, ""), err
	},
	env: func(host, port string) []string {
		return []string{"PGHOST=" + host, "PGPORT=" + port, "PGDATABASE=pqgo", "PGUSER=pqgo", "PGSSLMODE=disable"}
	},
}

// newModule copies the module, which its tests write to, and compiles its tests.
func newModule(t *testing.T, m module) module {
	t.Helper()
	top, err := servers.Repository()
	if err != nil {
		t.Fatal(err)
	}
	drivers := filepath.Join(top, "test", "drivers", "go")
	command(t, drivers, "go", "mod", "download")
	source := command(t, drivers, "go", "list", "-m", "-f", "{{.Dir}}", m.path)
	m.cache = command(t, drivers, "go", "env", "GOCACHE")
	m.folder = filepath.Join(shared.lab.Dir(), filepath.Base(filepath.Dir(m.path))+filepath.Base(m.path))
	command(t, drivers, "cp", "-r", source, m.folder)
	command(t, drivers, "chmod", "-R", "u+w", m.folder)
	for _, p := range m.packages {
		command(t, m.folder, "go", "test", "-mod=mod", "-c", "-o", filepath.Join(m.folder, p, "the.test"), p)
	}
	return m
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, &problems)
	}
	return strings.TrimSpace(string(out))
}

func (m module) setup(ctx context.Context, pg *servers.Postgres) error {
	database, sql, err := m.prepare(m.folder)
	if err != nil {
		return err
	}
	if err := runSQL(ctx, pg, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	return runSQL(ctx, pg, database, sql)
}

// tenTimes ends the name of a test that ran ten times, and passed if it did so each time.
const tenTimes = " (ten times)"

// run runs the packages at once, as "go test ./..." does.
func (m module) run(ctx context.Context, addr string, only []string) (results, error) {
	var all sync.WaitGroup
	found := make([]results, len(m.packages))
	problems := make([]error, len(m.packages))
	for i, p := range m.packages {
		once, often := "^Test", m.repeat // examples know addresses of their own
		if len(only) > 0 {
			once, often = patterns(p, only)
		}
		all.Go(func() { found[i], problems[i] = m.runPackage(ctx, addr, p, once, often) })
	}
	all.Wait()
	sum := results{}
	for _, r := range found {
		maps.Copy(sum, r)
	}
	return sum, errors.Join(problems...)
}

// runPackage runs the tests of one package that match once, and ten times those that match often. An empty
// pattern matches none.
func (m module) runPackage(ctx context.Context, addr, p, once, often string) (results, error) {
	sum := results{}
	if once != "" {
		r, err := m.runTests(ctx, addr, p, "-test.run="+once)
		if err != nil {
			return nil, err
		}
		maps.Copy(sum, r)
	}
	if often != "" {
		r, err := m.runTests(ctx, addr, p, "-test.run="+often, "-test.count=10")
		if err != nil {
			return nil, err
		}
		for test, result := range r {
			sum[test+tenTimes] = result
		}
	}
	return sum, nil
}

// patterns are those of the named tests of package p, with all their subtests.
func patterns(p string, tests []string) (once, often string) {
	names := map[bool][]string{}
	for _, test := range tests {
		if test, ok := strings.CutPrefix(test, p+" "); ok {
			test, repeated := strings.CutSuffix(test, tenTimes)
			top, _, _ := strings.Cut(test, "/")
			names[repeated] = append(names[repeated], top)
		}
	}
	pattern := func(names []string) string {
		if len(names) == 0 {
			return ""
		}
		return "^(" + strings.Join(names, "|") + ")$"
	}
	return pattern(names[false]), pattern(names[true])
}

// maxPanics bounds how often a package's tests may be continued behind a panic.
const maxPanics = 10

// runTests runs tests of one package. The worst result of each counts. A test that panics has failed, and
// ends its program: those behind it run in another one.
func (m module) runTests(ctx context.Context, addr, p string, args ...string) (results, error) {
	found, done := results{}, map[string]bool{}
	var said []byte
	for range maxPanics {
		skip := "-test.skip=^(" + strings.Join(slices.Sorted(maps.Keys(done)), "|") + ")$"
		out, err := m.runProgram(ctx, addr, p, append(args, skip)...)
		if err != nil {
			return nil, err
		}
		ended := false
		for line := range bytes.Lines(out) {
			var event struct{ Action, Test string }
			if err := json.Unmarshal(line, &event); err != nil {
				return nil, fmt.Errorf("read %q: %w", line, err)
			}
			if event.Action != "pass" && event.Action != "fail" && event.Action != "skip" {
				continue
			}
			if event.Test == "" {
				ended = !bytes.Contains(out, []byte("panic: "))
				continue
			}
			top, _, _ := strings.Cut(event.Test, "/")
			done[top] = true
			if strings.Contains(event.Test, os.TempDir()) { // a name of that run only
				continue
			}
			if name := p + " " + event.Test; found[name] != "fail" {
				found[name] = event.Action
			}
		}
		if ended {
			return found, nil
		}
		said = out
	}
	return nil, fmt.Errorf("run the tests of %s: they do not come to an end:\n%s", p, said[max(0, len(said)-3000):])
}

// runProgram runs the compiled tests of one package and returns their events in JSON.
func (m module) runProgram(ctx context.Context, addr, p string, args ...string) ([]byte, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(m.folder, p)
	args = append([]string{
		"tool", "test2json", "-t", filepath.Join(folder, "the.test"), "-test.v=test2json", "-test.timeout=4m",
	}, args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	cmd.Env = append(m.env(host, port),
		"HOME="+shared.lab.Dir(), "PATH="+os.Getenv("PATH"), "GOCACHE="+m.cache, "TZ=UTC")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("run the tests of %s: %w", p, err)
	}
	if len(out) == 0 || problems.Len() > 0 {
		return nil, fmt.Errorf("run the tests of %s: they say:\n%s", p, &problems)
	}
	return out, nil
}
