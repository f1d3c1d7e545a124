// Package host asks this machine: for its memory limit and open files, for the peer of a Unix socket, for the
// service manager. It also listens, on TCP and on Unix sockets with their lock files.
//
// It imports no other package of this repository. Where a system cannot answer, a function says so by the
// value that its comment names.
//
// Each file answers one question; socket.go and socket_unix.go take over a Unix socket safely.
package host
