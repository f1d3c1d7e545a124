//go:build !linux

package pgwire

import "net"

// hungUp is not known here: it is noticed when something is read or written.
func hungUp(net.Conn) bool { return false }

// undelivered is not known here.
func undelivered(net.Conn) bool { return false }
