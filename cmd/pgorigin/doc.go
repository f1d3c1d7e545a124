// Command pgorigin runs the sidecar: it accepts plaintext Postgres clients on localhost and takes them to the real
// server inside TLS, verified.
//
// This is the only package that knows all three leaves. pgwire gets a Dial function of tlsorigin, health gets words
// and numbers, and observe.go is the one place where a session becomes a log line and a count. Configuration is
// environment variables only; names of variables live here and nowhere else, so that a leaf reports what is wrong and
// cures.go says which setting changes it.
package main
