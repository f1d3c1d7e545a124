//go:build unchanged

package unchanged

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// sslmodes are what applications have in their URLs. The last one takes a CA file.
var sslmodes = []string{"disable", "prefer", "require", "verify-full"}

// Positions in sslmodes.
const (
	require    = 2
	verifyFull = 3
)

// driver is a row of the table.
type driver struct {
	name    string
	command []string
	// url writes a URL with sslmode and, if there is one, CA file, as this driver reads it.
	url func(sslmode, caFile string) string
	env []string
	// caVariable names the CA of drivers that take none from a URL.
	caVariable string
	// own is what a program under exec has besides, or instead of, DATABASE_URL.
	own []string
	// urlNote says what is special about its URLs, and execNote what it reads under exec.
	urlNote, execNote string
	// noSocket says why it cannot use a Unix socket.
	noSocket string
}

// drivers are the rows of the table.
func (s *suite) drivers() []driver {
	const python = "/usr/bin/python3" // with Debian's packages; another python3 in PATH has not got them
	program := func(name string) string { return filepath.Join(s.cache, "unchanged", name) }
	libpq18 := "LD_LIBRARY_PATH=" + s.postgres18("lib")
	psql := "PSQL=" + s.lab.Psql(context.Background(), "").Path
	golang := filepath.Join(s.cache, "go/bin/url")
	node := "NODE_NO_WARNINGS=1" // node-postgres warns that "require" will verify less
	return []driver{
		{name: "psql 15", command: []string{"/bin/bash", program("psql.bash")}, url: libpqURL, env: []string{psql}},
		{name: "libpq 18", command: []string{program("libpq")}, url: libpqURL, env: []string{libpq18}},
		{
			name: "tokio-postgres (Rust)", command: []string{program("tokio-postgres")}, url: rustURL, caVariable: "SSL_CERT_FILE",
			urlNote: "the program decides what to verify; this one always verifies, with the CA of `SSL_CERT_FILE`",
		},
		{name: "pgx (Go)", command: []string{golang, "pgx"}, url: libpqURL},
		{name: "lib/pq (Go)", command: []string{golang, "pq"}, url: libpqURL},
		{
			name: "JDBC (Java)", url: jdbcURL, noSocket: noSocketURL, command: []string{
				"/usr/bin/java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
				"-cp", program("") + ":/usr/share/java/postgresql.jar", "Url",
			},
		},
		{
			name: "node-postgres (Node.js)", command: []string{"/usr/bin/node", program("pg.mjs")}, url: libpqURL,
			env: []string{node}, caVariable: "NODE_EXTRA_CA_CERTS",
			urlNote: "also verifies with `prefer` and `require`, with the CA of `NODE_EXTRA_CA_CERTS`",
		},
		{
			name: "postgres.js (Node.js)", command: []string{"/usr/bin/node", program("postgres.mjs")}, url: plainURL,
			caVariable: "NODE_EXTRA_CA_CERTS", noSocket: noSocketURL,
			urlNote: "its URL has no CA file; `verify-full` takes the CA of `NODE_EXTRA_CA_CERTS`",
		},
		{name: "psycopg 3 (Python)", command: []string{python, "-B", program("driver.py"), "psycopg"}, url: libpqURL},
		{name: "psycopg2 (Python)", command: []string{python, "-B", program("driver.py"), "psycopg2"}, url: libpqURL},
		{name: "asyncpg (Python)", command: []string{python, "-B", program("driver.py"), "asyncpg"}, url: libpqURL},
		{
			name: "DBD::Pg (Perl)", command: []string{"/usr/bin/perl", program("driver.pl")}, url: perlDSN,
			own:      []string{"PGUSER=" + user, "PGPASSWORD=" + password, "PGDATABASE=" + database},
			urlNote:  "it reads no URL: `dbi:Pg:host=…;port=…;sslmode=…`",
			execNote: "just `dbi:Pg:`, with `PGUSER`, `PGPASSWORD` and `PGDATABASE` beside `DATABASE_URL`",
		},
		{name: "ruby-pg (Ruby)", command: []string{"/usr/bin/ruby", program("driver.rb")}, url: libpqURL},
		{name: "pgsql (PHP)", command: []string{"/usr/bin/php", program("driver.php")}, url: libpqURL},
	}
}

const noSocketURL = "its URLs cannot lead to a Unix socket; `auto` takes a port"

// libpqURL is the URL that most drivers share.
func libpqURL(sslmode, caFile string) string {
	text := plainURL(sslmode, "")
	if caFile != "" {
		text += "&sslrootcert=" + url.QueryEscape(caFile)
	}
	return text
}

// plainURL is for a driver whose URLs have no CA file.
func plainURL(sslmode, _ string) string {
	return fmt.Sprintf("postgresql://%s:%s@%s:%s/%s?sslmode=%s", user, escaped(password), realName, realPort, database, sslmode)
}

// rustURL has no CA file, and no sslmode beyond "require": the program verifies.
func rustURL(sslmode, _ string) string {
	if sslmode == sslmodes[verifyFull] {
		sslmode = "require"
	}
	return plainURL(sslmode, "")
}

func jdbcURL(sslmode, caFile string) string {
	text := fmt.Sprintf("jdbc:postgresql://%s:%s/%s?user=%s&password=%s&sslmode=%s",
		realName, realPort, database, user, escaped(password), sslmode)
	if caFile != "" {
		text += "&sslrootcert=" + caFile
	}
	return text
}

func perlDSN(sslmode, caFile string) string {
	text := fmt.Sprintf("dbi:Pg:host=%s;port=%s;dbname=%s;user=%s;password='%s';sslmode=%s",
		realName, realPort, database, user, password, sslmode)
	if caFile != "" {
		text += ";sslrootcert=" + caFile
	}
	return text
}

// escaped escapes all that means something in a URL. No driver reads + as a space in a password.
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// programLimit bounds one run of a driver's program.
const programLimit = 90 * time.Second

// run runs a driver's program in a pod, behind a prefix such as "pgorigin exec", and returns what it says to each of
// its URLs.
func (d driver) run(ctx context.Context, p *pod, prefix, env []string, urls ...string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, programLimit, errors.New("it is still at work"))
	defer cancel()
	args := append(append(append([]string{}, prefix...), d.command...), urls...)
	cmd := p.command(ctx, append(append([]string{}, d.env...), env...), args...)
	var problems strings.Builder
	cmd.Stderr, cmd.WaitDelay = &problems, 5*time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w, %w; it says: %s%s", d.name, err, context.Cause(ctx), out, &problems)
	}
	said := strings.Split(strings.TrimSpace(string(out)), "\n")
	if want := max(len(urls), 1); len(said) != want {
		return nil, fmt.Errorf("%s: %d answers, want %d; it says: %s%s", d.name, len(said), want, out, &problems)
	}
	return said, nil
}

// works is what a program says when everything is well.
const works = "works"
