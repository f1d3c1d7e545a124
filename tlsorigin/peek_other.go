//go:build !unix

package tlsorigin

import (
	"net"
	"syscall"
)

// peek cannot look ahead here. Bytes after 'S' then break the handshake, which ends the connection, too.
func peek(net.Conn, []byte) int { return 0 }

// readDescriptor cannot read without waiting here. A dead spare then shows when it is used.
func readDescriptor(uintptr, []byte) (int, error) { return 0, syscall.EAGAIN }
