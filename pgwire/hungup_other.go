//go:build !linux

package pgwire

import "net"

// hungUp is not known here: it is noticed when something is read or written.
func hungUp(net.Conn) bool { return false }

// hasInput is not known here either: a client counts as silent until its packet has been read.
func hasInput(net.Conn) bool { return false }
