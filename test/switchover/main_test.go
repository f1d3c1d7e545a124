//go:build switchover

package switchover

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

var (
	rounds   = flag.Int("rounds", 2, "how many promotions")
	away     = flag.Duration("away", 10*time.Second, "how long each promotion leaves clients without an upstream")
	rate     = flag.Int("rate", 50, "new connections a second, for each way")
	peers    = flag.Int("peers", 1, "for how many kinds of promotions the peers are measured, too")
	logs     = flag.Bool("logs", false, "show the logs of pgorigin although all is well")
	strict   = flag.Bool("strict", false, "fail if a goal is missed: for a machine that has nothing else to do")
	prebuilt = flag.String("binary", "", "a pgorigin to test instead of the one that is built from here")
)

// How much longer than the outage a client may wait. On a busy machine, clients that wait also wait for one
// another. The server then serves at least as many in a second as come in a second.
const (
	goal  = 250 * time.Millisecond // with -strict
	bound = 2 * time.Second
)

// limit is how long clients may wait for an upstream that is away, if perSecond new ones come in a second.
func limit(away time.Duration, waiting, perSecond int) time.Duration {
	if *strict {
		return away + goal
	}
	return away + bound + time.Second*time.Duration(waiting)/time.Duration(perSecond)
}

// Dials a second to one address while the upstream is away.
const (
	dialsGoal = 10
	// dialsBound is for the second that is measured, which a busy machine may make longer.
	dialsBound = 14
)

// patience is how long a client of the test waits for a session.
const patience = 100 * time.Second

// wait is the environment of a pgorigin under test. It is longer than its default, so that a busy machine has time.
const wait = "PGORIGIN_UPSTREAM_WAIT=90s"

// suite is what all tests share.
type suite struct {
	lab      *servers.Lab
	binary   string
	names    *nameServer
	pair     *tlstest.Pair // proves every server here, under every name and address
	postgres *servers.Postgres
	dials    *dials
}

var shared suite

// inside says that the process is in its namespaces.
const inside = "PGORIGIN_SWITCHOVER_INSIDE"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inside) == "" {
		os.Exit(enter())
	}
	os.Exit(servers.RunSuite(m, start))
}

// enter runs this program again in namespaces of its own and returns its exit code.
func enter() int {
	runtime.LockOSThread() // the kernel ends the other program with this thread
	cmd := exec.CommandContext(context.Background(), os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, "make namespaces, which takes root:", err)
		return 1
	}
	return 0
}

// start makes network, names and servers.
func start(ctx context.Context, lab *servers.Lab) error {
	shared = suite{lab: lab, binary: *prebuilt}
	// Without a rule that translates, the kernel's table nat sees nothing to count.
	if err := errors.Join(run("ip link set lo up"), lead(ip(netLast, 1), "1", ip(netLast, 2))); err != nil {
		return err
	}
	var err error
	if shared.names, err = startNames(lab.Dir()); err != nil {
		return err
	}
	shared.pair = lab.CA.Issue(tlstest.Leaf{
		CommonName: servers.ServerName, DNSNames: []string{"*.pgorigin.test"},
		IPs: append(addresses(), net.IPv4(127, 0, 0, 1)),
	})
	shared.dials = &dials{}
	var starting sync.WaitGroup
	var errs [2]error
	starting.Go(func() {
		if shared.binary == "" {
			shared.binary, errs[0] = lab.Build(ctx)
		}
	})
	starting.Go(func() {
		shared.postgres, errs[1] = lab.Postgres(ctx, servers.PostgresOptions{Files: certificateFiles()})
	})
	starting.Wait()
	return errors.Join(errs[:]...)
}

// certificateFiles are the files of a PostgreSQL by which it proves every name and address of the suite.
func certificateFiles() map[string]string {
	return map[string]string{
		"server.crt": string(shared.pair.CertPEM()), "server.key": string(shared.pair.KeyPEM()),
	}
}

// startOrigin starts a pgorigin in front of upstream, which proves itself as servers.ServerName. If the test
// fails, its log is shown without the lines of sessions.
func startOrigin(t *testing.T, upstream string, env ...string) (*servers.Origin, error) {
	t.Helper()
	env = append([]string{"PGORIGIN_TLS_SERVER_NAME=" + servers.ServerName, wait, unknown}, env...)
	o, err := shared.lab.Origin(t.Context(), shared.binary, upstream, env...)
	if err == nil {
		t.Cleanup(func() {
			if t.Failed() || *logs {
				t.Logf("the log of the pgorigin in front of %s:\n%s", upstream, notable(o.Log.String()))
			}
		})
	}
	return o, err
}

// notable leaves the lines of sessions out, and most of the others if there are many.
func notable(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"session `) {
			lines = append(lines, line)
		}
	}
	const enough = 20
	return strings.Join(lines[:min(enough, len(lines))], "")
}

// unknown lets older releases take part, which lack a variable.
const unknown = "PGORIGIN_UNKNOWN_ENV=warn"

// startBouncer starts a pgbouncer at ip:bouncerPort. It has room for everybody.
func startBouncer(ctx context.Context, ip string) (*servers.PgBouncer, error) {
	return shared.lab.PgBouncer(ctx, shared.postgres, servers.PgBouncerOptions{
		PoolMode: "transaction", Certificate: shared.pair,
		Settings: []string{
			"listen_addr = " + ip, "listen_port = " + bouncerPort, "max_client_conn = 10000",
			"default_pool_size = 50", "listen_backlog = 4096", "query_wait_timeout = 0",
			"verbose = 0", "log_connections = 0", "log_disconnections = 0",
		},
	})
}

const (
	bouncerPort  = "6432"
	postgresPort = "5432"
)

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// must ends a test that cannot go on.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// private keeps later mounts inside the namespace.
func private() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }

// replaceFile lets all programs of the suite see text at path.
func replaceFile(folder, path, text string) error {
	file := filepath.Join(folder, filepath.Base(path))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(file, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount over %s: %w", path, err)
	}
	return nil
}
