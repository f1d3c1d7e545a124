//go:build suites && regress

package suites

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/pgorigin/pgorigin/test/servers"
)

// regress is what test/suites/install prints.
var regress = flag.String("regress", "", "folder of src/test/regress of PostgreSQL's sources, with regress.so")

func TestRegress(t *testing.T) { compare(t, "PostgreSQL", scripts{folder: *regress}) }

// scripts are PostgreSQL's own regression tests, which pg_regress runs by psql and compares with what they
// must print.
type scripts struct{ folder string }

func (s scripts) setup(ctx context.Context, pg *servers.Postgres) error {
	return runSQL(ctx, pg, "postgres", "ALTER ROLE postgres PASSWORD '"+servers.Password+"'")
}

// resultLine is what pg_regress prints of a test, alone or in a group.
var resultLine = regexp.MustCompile(`(?m)^(?:test|    ) ?(\w+) +\.\.\. (ok|FAILED)`)

// run runs all scripts; they build on one another, and one alone would fail.
func (s scripts) run(ctx context.Context, addr string, _ []string) (results, error) {
	programs, err := filepath.Glob("/usr/lib/postgresql/*/lib/pgxs/src/test/regress/pg_regress")
	if err != nil {
		return nil, err
	}
	if len(programs) == 0 {
		return nil, errors.New("find pg_regress: it is not installed")
	}
	program := programs[len(programs)-1]
	out, err := os.MkdirTemp(shared.lab.Dir(), "regress-")
	if err != nil {
		return nil, err
	}
	// The server reads and writes there, too.
	if err := errors.Join(os.Chmod(out, 0o777), os.Mkdir(filepath.Join(out, "results"), 0o777)); err != nil {
		return nil, err
	}
	if err := os.Chmod(filepath.Join(out, "results"), 0o777); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "--host="+host, "--port="+port, "--user=postgres", "--dlpath="+s.folder,
		"--bindir="+filepath.Join(program, "../../../../../../bin"), "--inputdir="+s.folder, "--outputdir="+out,
		"--schedule="+filepath.Join(s.folder, "parallel_schedule"), "--max-concurrent-tests=20")
	cmd.Dir = out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + out, "PGPASSWORD=" + servers.Password, "PGSSLMODE=disable"}
	text, err := cmd.CombinedOutput()
	all := results{}
	for _, match := range resultLine.FindAllStringSubmatch(string(text), -1) {
		all[match[1]] = map[string]string{"ok": "pass", "FAILED": "fail"}[match[2]]
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("run pg_regress: %w", err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("run pg_regress: it says:\n%s", text)
	}
	return all, nil
}
