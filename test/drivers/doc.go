// Package drivers runs real drivers, each in its own language, against pgbouncer and two versions of PostgreSQL, all of
// which demand TLS and SCRAM: through pgorigin with PGORIGIN_AUTH_CHANNEL_BINDING=strip and =bridge, and directly, with
// the driver's own TLS. The result is the table of docs/reference/compatibility.md.
//
// "make drivers" runs it, "make drivers UPDATE=-update" writes the page. It has the build tag "drivers", because it
// needs more software and more time than the other tests.
//
// # A driver's program
//
// The programs lie in folders by language. A program takes account and server from environment variables that begin
// with DRIVER_ and prints one line of JSON for each check of the table:
//
//	{"check": "login", "ok": true, "note": ""}
//
// ok is true, false, or null for what the driver itself cannot do; then the note says why. A note beside true becomes a
// footnote. One more line, {"version": "…"}, names the driver. Before a program checks what happens when its server is
// restarted, it connects, prints {"waiting": "restart"} and waits for a line on standard input.
package drivers
