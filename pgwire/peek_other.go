//go:build !unix

package pgwire

import "net"

// hasLeft cannot tell without reading.
func hasLeft(net.Conn) bool { return false }
