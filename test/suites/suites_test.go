//go:build suites

package suites

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// direct is the way past pgorigin. The others are modes of pgorigin.
const direct = "direct"

var ways = []string{direct, "strip", "bridge", "spares"}

// modes are the environments of the ways through pgorigin. The suites log in by each method, which bridge
// does only when told.
var modes = map[string][]string{
	"strip":  nil,
	"bridge": {"PGORIGIN_AUTH_CHANNEL_BINDING=bridge", "PGORIGIN_AUTH_REQUIRE=scram-sha-256,md5,password,none"},
	"spares": {"PGORIGIN_WARM_SPARES=4"},
}

var shared struct {
	lab    *servers.Lab
	binary string
}

func TestMain(m *testing.M) {
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) (err error) {
		shared.lab = lab
		if err := os.WriteFile(hbaFile(lab), []byte(hba), 0o644); err != nil {
			return err
		}
		shared.binary, err = lab.Build(ctx)
		return err
	}))
}

// results are the tests of a suite that ran: "pass", "fail" or "skip".
type results map[string]string

// passed is how many tests passed.
func (r results) passed() (n int) {
	for _, result := range r {
		if result == "pass" {
			n++
		}
	}
	return n
}

// suite is the tests of one project.
type suite interface {
	// setup makes what the tests need in an empty PostgreSQL.
	setup(ctx context.Context, pg *servers.Postgres) error
	// run runs the named tests in a server at addr, or all if there are none, and says how each ended.
	run(ctx context.Context, addr string, only []string) (results, error)
}

// difference is a test that ends differently through pgorigin, and is meant to.
type difference struct{ suite, way, test, reason string }

// known are all of them.
var known = []difference{}

func TestPgx(t *testing.T)   { compare(t, "pgx", newModule(t, pgxModule)) }
func TestLibPq(t *testing.T) { compare(t, "lib/pq", newModule(t, pqModule)) }

// place is a PostgreSQL of its own, and the way to it.
type place struct {
	way, addr string
	results   results
	took      time.Duration
}

// compare runs a suite on each way and requires that the same tests pass. One suite follows the other:
// many of their tests have time limits of their own.
func compare(t *testing.T, name string, s suite) {
	t.Helper()
	places := make([]place, len(ways))
	var all sync.WaitGroup
	for i, way := range ways {
		all.Go(func() {
			began := time.Now()
			p, err := start(t.Context(), s, way)
			if err == nil {
				p.results, err = s.run(t.Context(), p.addr, nil)
			}
			if err != nil {
				t.Errorf("%s: %v", way, err)
			}
			p.took = time.Since(began)
			places[i] = p
		})
	}
	all.Wait()
	for _, p := range places {
		t.Logf("%s, %s: %d of %d tests pass, in %s",
			name, p.way, p.results.passed(), len(p.results), p.took.Round(time.Second))
	}
	if t.Failed() {
		return
	}
	for _, p := range places[1:] {
		t.Run(p.way, func(t *testing.T) { same(t, name, s, places[0], p) })
	}
}

// same compares one way with the direct one. The tests that end differently get more tries on both ways,
// with nothing beside them.
func same(t *testing.T, name string, s suite, base, p place) {
	t.Helper()
	all := maps.Clone(base.results)
	maps.Copy(all, p.results)
	var differ []string
	for _, test := range slices.Sorted(maps.Keys(all)) {
		if base.results[test] == p.results[test] {
			continue
		}
		if reason := expected(name, p.way, test); reason != "" {
			t.Logf("%s: %s, directly %s, as expected: %s", test, p.results[test], base.results[test], reason)
			continue
		}
		differ = append(differ, test)
	}
	if len(differ) == 0 {
		return
	}
	t.Logf("once more: %q", differ)
	without, errWithout := again(t.Context(), s, base.addr, differ)
	through, errThrough := again(t.Context(), s, p.addr, differ)
	if err := errors.Join(errWithout, errThrough); err != nil {
		t.Fatal(err)
	}
	for _, test := range differ {
		if without[test].usual() == through[test].usual() {
			t.Logf("%s: once more %v, directly %v", test, through[test], without[test])
			continue
		}
		t.Errorf("%s: %s, directly %s; once more %v, directly %v", test, p.results[test], base.results[test],
			through[test], without[test])
	}
}

// tries is how often a test is repeated that ended differently.
const tries = 5

// ends is how often a test ended how.
type ends map[string]int

// usual is how it ended in most tries, or nothing.
func (e ends) usual() string {
	for end, n := range e {
		if 2*n > tries {
			return end
		}
	}
	return ""
}

// again runs tests of a suite some more times.
func again(ctx context.Context, s suite, addr string, tests []string) (map[string]ends, error) {
	all := map[string]ends{}
	for range tries {
		r, err := s.run(ctx, addr, tests)
		if err != nil {
			return nil, err
		}
		for _, test := range tests {
			if all[test] == nil {
				all[test] = ends{}
			}
			all[test][cmp.Or(r[test], "missing")]++
		}
	}
	return all, nil
}

// expected returns the reason for a known difference, or nothing.
func expected(suite, way, test string) string {
	for _, d := range known {
		if d.suite == suite && (d.way == way || d.way == "") && (test == d.test || strings.HasPrefix(test, d.test+"/")) {
			return d.reason
		}
	}
	return ""
}

// hba lets the accounts of all suites in as their suites want it, with TLS and without.
const hba = `
local all all                          trust
host  all postgres,app,pgx_scram,pqgoscram all scram-sha-256
host  all pgx_md5,pqgomd5              all md5
host  all pgx_pw,pqgopassword          all password
host  all all                          all trust
`

func hbaFile(lab *servers.Lab) string { return filepath.Join(lab.Dir(), "hba.conf") }

// start starts a PostgreSQL for one way, and a pgorigin unless the way is direct. That one is plain, and its
// server has no TLS: the client of a suite is then the same on all ways.
func start(ctx context.Context, s suite, way string) (place, error) {
	p := place{way: way}
	pg, err := shared.lab.Postgres(ctx, servers.PostgresOptions{
		NoTLS: way == direct,
		Settings: []string{
			"hba_file = '" + hbaFile(shared.lab) + "'", "max_prepared_transactions = 10", "log_connections = off",
		},
	})
	if err != nil {
		return p, err
	}
	if err := s.setup(ctx, pg); err != nil {
		return p, err
	}
	if p.addr = pg.Addr; way == direct {
		return p, nil
	}
	env := append([]string{"PGORIGIN_LOG_LEVEL=warn"}, modes[way]...)
	origin, err := shared.lab.Origin(ctx, shared.binary, pg.Addr, env...)
	if err == nil {
		p.addr = origin.Addr
	}
	return p, err
}

// runSQL runs statements as superuser, past everything under test.
func runSQL(ctx context.Context, pg *servers.Postgres, database, sql string) error {
	_, port, _ := net.SplitHostPort(pg.Addr) // made by the lab
	dsn := "host=" + pg.SocketDir() + " port=" + port + " user=postgres dbname=" + database
	cmd := shared.lab.Psql(ctx, dsn, "-q", "-v", "ON_ERROR_STOP=1", "-f", "-")
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set up %s: %w\n%s", database, err, out)
	}
	return nil
}
