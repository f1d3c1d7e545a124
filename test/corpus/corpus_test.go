package corpus

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// defaultHost is the name that is asked for in cases that are not about names.
const defaultHost = "db.test"

// minCases is how many cases there are at least.
const minCases = 80

// certCase is a server with a certificate, and a client with a name, roots and perhaps CRLs.
type certCase struct {
	name  string
	host  string // that the client asks for; empty: defaultHost
	pair  *tlstest.Pair
	roots []*x509.Certificate
	crls  [][]byte // DER; nil: no CRL file
	both  bool     // ask for verify-ca, too: the case is not about the name
}

// row is one line of the table.
type row struct {
	name            string
	libpq, pgorigin string // "accepts" or "refuses"
	reason          string // pgorigin's
	libpqSays       string
}

const (
	accepts = "accepts"
	refuses = "refuses"
)

func allCases() []certCase {
	return slices.Concat(nameCases(), addressCases(), chainCases(), anchorCases(), authorityCases(), usageCases(),
		constraintCases(), keyCases(), signatureCases(), revocationCases(), brokenListCases())
}

// TestCorpus runs every case and compares the differences with docs/reference/libpq-differences.md.
func TestCorpus(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New("the corpus takes too long"))
	defer cancel()
	cases := allCases()
	var rows []row
	for _, c := range cases {
		rows = append(rows, c.run(ctx, t)...)
	}
	if len(cases) < minCases {
		t.Errorf("%d cases, want at least %d", len(cases), minCases)
	}
	printTable(t, len(cases), rows)
	compare(t, rows)
}

// run presents the certificate and asks both clients.
func (c certCase) run(ctx context.Context, t *testing.T) []row {
	t.Helper()
	if c.host == "" {
		c.host = defaultHost
	}
	addr := shared.postgres.Addr
	if err := shared.postgres.Present(ctx, c.pair); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	files := c.write(t)
	modes := []string{"verify-full"}
	if c.both {
		modes = append(modes, "verify-ca")
	}
	rows := make([]row, len(modes))
	var asking sync.WaitGroup
	for i, mode := range modes {
		r := &rows[i]
		r.name = c.name
		if mode != "verify-full" {
			r.name += ", " + mode
		}
		asking.Go(func() { r.libpq, r.libpqSays = askLibpq(ctx, t, mode, c.host, addr, files) })
		asking.Go(func() { r.pgorigin, r.reason = askPgorigin(ctx, t, mode, c.host, addr, files) })
	}
	asking.Wait()
	return rows
}

// trustFiles are paths for a client.
type trustFiles struct{ roots, crls string }

func (c certCase) write(t *testing.T) trustFiles {
	t.Helper()
	dir := t.TempDir()
	// psql runs as whoever runs the test.
	files := trustFiles{roots: filepath.Join(dir, "roots.crt")}
	var roots []byte
	for _, cert := range c.roots {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	err := os.WriteFile(files.roots, roots, 0o644)
	if c.crls != nil {
		files.crls = filepath.Join(dir, "revoked.crl")
		err = errors.Join(err, os.WriteFile(files.crls, tlstest.CRLPEM(c.crls...), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func printTable(t *testing.T, cases int, rows []row) {
	t.Helper()
	var out strings.Builder
	differences := 0
	fmt.Fprintf(&out, "%-64s %-8s %-8s %-5s %-24s %s\n", "case", "libpq", "pgorigin", "", "reason", "libpq says")
	for _, r := range rows {
		mark := ""
		if r.libpq != r.pgorigin {
			mark = "DIFF"
			differences++
		}
		fmt.Fprintf(&out, "%-64s %-8s %-8s %-5s %-24s %s\n", r.name, r.libpq, r.pgorigin, mark, r.reason, r.libpqSays)
	}
	fmt.Fprintf(&out, "%d cases, %d verdicts: %d agreements, %d differences",
		cases, len(rows), len(rows)-differences, differences)
	t.Logf("\n%s", out.String())
}
