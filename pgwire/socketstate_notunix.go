//go:build !unix

package pgwire

import "net"

// hasLeft is not known here without reading.
func hasLeft(net.Conn) bool { return false }

// hasInput is not known here either: a client counts as silent until its packet has been read.
func hasInput(net.Conn) bool { return false }
