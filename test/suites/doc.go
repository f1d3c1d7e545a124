// Package suites runs the tests that drivers and PostgreSQL itself ship, once without pgorigin and once in
// each of its modes, and compares them test by test: what passes must be the same. "make suites" runs those
// of pgx and lib/pq, with REGRESS=1 also PostgreSQL's regression scripts, which take minutes.
//
// asyncpg and psycopg are missing: Debian's packages of both leave their tests out.
package suites
