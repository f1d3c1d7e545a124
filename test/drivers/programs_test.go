//go:build drivers

package drivers

import (
	"context"
	"path/filepath"
)

// driver is a row of the table.
type driver struct {
	name    string
	command []string
	env     []string
}

// checks are the columns of the table, by the names that the programs use.
var checks = []struct{ name, title string }{
	{"login", "login"},
	{"wrong password", "wrong password"},
	{"parameters", "parameters"},
	{"prepared", "prepared"},
	{"pipeline", "pipeline, batch"},
	{"copy", "COPY"},
	{"notice", "notice"},
	{"notify", "NOTIFY"},
	{"cancel", "cancel"},
	{"large", "8 MB value"},
	{"unicode", "Unicode"},
	{"restart", "restart"},
}

// drivers are the rows of the table.
func (s *suite) drivers() []driver {
	cached := func(parts ...string) string { return filepath.Join(append([]string{s.cache}, parts...)...) }
	source := func(parts ...string) string { return filepath.Join(append([]string{s.here}, parts...)...) }
	libpq := cached("libpq/run")
	libpq18 := "LD_LIBRARY_PATH=" + s.postgres18("lib")
	psql := "DRIVER_PSQL=" + s.lab.Psql(context.Background(), "").Path
	python := "/usr/bin/python3" // with Debian's packages; another python3 in PATH has not got them
	return []driver{
		{name: "psql 15", command: []string{source("psql/run")}, env: []string{psql}},
		{name: "pgbench 15", command: []string{source("pgbench/run")}, env: []string{psql, "DRIVER_PGBENCH=" + s.lab.Pgbench(context.Background(), "").Path}},
		{name: "libpq 15", command: []string{libpq}},
		{name: "libpq 18", command: []string{libpq}, env: []string{libpq18}},
		{name: "libpq 18, protocol 3.2", command: []string{libpq}, env: []string{libpq18, "DRIVER_PROTOCOL=3.2"}},
		{name: "tokio-postgres (Rust)", command: []string{cached("rust/run")}},
		{name: "pgx (Go)", command: []string{cached("go/bin/pgx")}},
		{name: "lib/pq (Go)", command: []string{cached("go/bin/pq")}},
		{name: "JDBC (Java)", command: []string{"java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", cached("jdbc") + ":/usr/share/java/postgresql.jar", "Run"}},
		{name: "node-postgres (Node.js)", command: []string{"node", cached("node/pg.mjs")}},
		{name: "postgres.js (Node.js)", command: []string{"node", cached("node/postgres.mjs")}},
		{name: "psycopg 3 (Python)", command: []string{python, "-B", source("python/run_psycopg3.py")}},
		{name: "psycopg2 (Python)", command: []string{python, "-B", source("python/run_psycopg2.py")}},
		{name: "asyncpg (Python)", command: []string{python, "-B", source("python/run_asyncpg.py")}},
		{name: "DBD::Pg (Perl)", command: []string{"/usr/bin/perl", source("perl/run.pl")}},
		{name: "ruby-pg (Ruby)", command: []string{"/usr/bin/ruby", source("ruby/run.rb")}},
		{name: "pgsql (PHP)", command: []string{"/usr/bin/php", source("php/run.php")}},
	}
}
