// Package e2e is the end-to-end suite: the built pgorigin between real clients (psql, pgbench, pgx) and real upstreams
// (PostgreSQL with hostssl and SCRAM, pgbouncer with client_tls_sslmode=require). A server that is not installed fails
// the suite; test/install installs what is missing.
package e2e
