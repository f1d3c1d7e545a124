//go:build faults

package faults

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// suite is what all faults share. A fault may not change these servers.
type suite struct {
	lab      *servers.Lab
	binary   string
	postgres *servers.Postgres // demands TLS
	plain    *servers.Postgres // has no TLS; stands behind scripted servers
	table    []advised         // of reasons
	stranger string            // the file of a CA that signed nothing here
}

var shared suite

// parallelFaults is how many run at once. Most of them wait.
const parallelFaults = "20"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", parallelFaults); err != nil { // -parallel on the command line still wins
		panic(err)
	}
	os.Exit(servers.RunSuite(m, func(ctx context.Context, lab *servers.Lab) error {
		shared.lab = lab
		var starting sync.WaitGroup
		var errs [3]error
		starting.Go(func() {
			if shared.binary, errs[0] = lab.Build(ctx); errs[0] == nil {
				shared.table, errs[0] = readTable(ctx, shared.binary)
			}
		})
		starting.Go(func() {
			if shared.postgres, errs[1] = lab.Postgres(ctx, servers.PostgresOptions{}); errs[1] == nil {
				errs[1] = createAccounts(ctx)
			}
		})
		starting.Go(func() { shared.plain, errs[2] = lab.Postgres(ctx, servers.PostgresOptions{NoTLS: true}) })
		starting.Wait()
		shared.stranger = filepath.Join(lab.Dir(), "stranger.crt")
		pem := tlstest.NewCA("a stranger's CA", tlstest.P256).PEM()
		return errors.Join(append(errs[:], os.WriteFile(shared.stranger, pem, 0o644))...)
	}))
}

// testContext ends with the test, or earlier when the test hangs.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Minute, errors.New("the fault takes too long"))
	t.Cleanup(cancel)
	return ctx
}

// writeFile writes a file that lives as long as the suite.
func writeFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	folder, err := os.MkdirTemp(shared.lab.Dir(), "files-")
	path := filepath.Join(folder, name)
	if err := errors.Join(err, os.WriteFile(path, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// serverFile is writeFile for the servers' user.
func serverFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := writeFile(t, name, text)
	if err := errors.Join(shared.lab.Give(filepath.Dir(path)), shared.lab.Give(path)); err != nil {
		t.Fatal(err)
	}
	return path
}

func createAccounts(ctx context.Context) error {
	for statement := range strings.SplitSeq(strings.TrimSpace(accountsSQL), "\n") {
		if _, err := shared.postgres.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
