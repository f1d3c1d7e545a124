// Package control has the commands that ask a running pgorigin over HTTP: healthcheck, wait and shutdown.
// They know an address and nothing else of that process.
package control
