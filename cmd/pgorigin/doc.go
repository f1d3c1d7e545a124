// Command pgorigin accepts plaintext Postgres clients on localhost and connects them to the real server over
// verified TLS.
//
// This package is the command line: main.go builds it, and one file for each command has flags, help and exit
// code. A command stores its exit code; an error of a command means wrong usage, see usage.go. The work is
// done in the rooms below internal:
//
//	execute   one command that runs beside a sidecar
//	sidecar   one running pgorigin: build, listen, serve, reload, drain, end
//	webhook   one running admission webhook
//	check     the test of the path to the upstream
//	control   commands that ask a running pgorigin
//	inject    pods and manifests of Kubernetes
//	observe   log lines, counts and status
//	advice    findings in words, with their cures
//	config    the environment variables
//	host      the machine: memory, descriptors, systemd, peers of sockets
//	cli       exit codes, the process of a command, the build
//	safetext  text from elsewhere, safe for a terminal
//
// Rooms import only rooms further down this list; a test has the exact table. Below them are pgwire (the
// protocol), tlsorigin (TLS to the upstream) and health (status and metrics), which do not know one another.
//
// To follow a session, start with sidecar.Run, then read pgwire's session.go and tlsorigin's dial.go.
package main
