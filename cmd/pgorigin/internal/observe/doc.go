// Package observe turns events of pgwire, tlsorigin and health into log lines, counts and status. No other
// package counts, and no other package logs sessions, connections, files or certificates. The package
// sidecar logs the steps of the process itself through NewLogger.
//
// Start reading at Observer in observe.go. session.go, dial.go, probe.go, reload.go, expiry.go and
// spares.go have its hooks. loglimiter.go suppresses lines that repeat, and logqueue.go keeps a slow reader
// of the log from holding up sessions.
package observe
