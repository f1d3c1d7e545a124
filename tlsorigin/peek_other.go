//go:build !unix

package tlsorigin

import "net"

// pendingInput cannot look ahead here. Bytes behind 'S' then break the handshake instead, which ends the connection too.
func pendingInput(net.Conn) bool { return false }
