// Package sidecar runs one pgorigin: it builds it from the settings, listens, serves, reloads, drains and
// ends.
//
// Start reading at Run in sidecar.go, which tells this life from top to bottom. Serve does the same for another
// command, which has the signals. An origin is one upstream
// with its dialer and server; origin.go connects pgwire, tlsorigin and health there, which do not know one
// another. Each further file answers one question. listen.go binds addresses, files.go waits for files that
// come late, and accept.go serves. reload.go follows SIGHUP. drain.go ends the process. admin.go has the admin
// endpoints. systemd.go tells the service manager. resources.go shares out memory and descriptors. status.go
// has /statusz, and settings.go "pgorigin config".
//
// The package observe logs and counts sessions, connections, files and certificates. This package logs only
// the steps of the process itself, such as "listening" and "draining", through a logger from observe.
package sidecar
