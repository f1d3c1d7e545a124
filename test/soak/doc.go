// Package soak loads one pgorigin, in front of a real PostgreSQL and a real pgbouncer, with everything that clients and
// servers do to a session, and looks for what it does not give back.
//
// Load comes in rounds. Between two of them every session has ended and the garbage was collected, and then the counts are
// exact: one goroutine or descriptor more than after the warm-up is a leak, however much traffic there was. What is
// measured in bytes is judged by its trend over all rounds.
//
// The ordinary suite runs a few short rounds, so that this does not rot. "make soak DURATION=30m" is the real thing.
package soak
