//go:build !unix

package evloop

import "net"

// Peek finds nothing on this system.
func Peek(net.Conn, []byte) (n int, ended bool) { return 0, false }

// AwaitInput returns at once on this system.
func AwaitInput(net.Conn, func() bool) bool { return false }

// HasInput always returns false: on this system a client counts as silent until its packet has been read.
func HasInput(net.Conn) bool { return false }
