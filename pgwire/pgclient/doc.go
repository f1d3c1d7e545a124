// Package pgclient is a small Postgres client for pgorigin's own diagnosis: it asks how an upstream wants to
// be logged in to, logs in with a password, and runs a query.
//
// It knows messages and one connection, which must be verified already. The rules of a login are those of
// [pgwire.PasswordLogin]. It knows nothing of sessions, TLS and settings, and must not. Start reading at
// [Greet].
package pgclient
