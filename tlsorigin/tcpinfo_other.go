//go:build !linux

package tlsorigin

import (
	"net"
	"syscall"
)

// shrinkSegments is not called where packetsLost cannot tell that it is needed.
func shrinkSegments(syscall.RawConn) {}

// packetsLost cannot be told here: TCP_INFO is Linux's.
func packetsLost(net.Conn) bool { return false }
