//go:build !linux

package tlsorigin

import "syscall"

// controlSocket has nothing to set: TCP_USER_TIMEOUT exists on Linux alone.
func controlSocket(_, _ string, _ syscall.RawConn) error { return nil }
