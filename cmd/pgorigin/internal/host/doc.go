// Package host asks the machine: memory limit of the cgroup, limit of open files, environment, terminal,
// peer of a socket, service manager. It also listens, on Unix sockets with a lock file and on TCP. It knows
// nothing of Postgres, TLS or pgorigin's settings.
package host
