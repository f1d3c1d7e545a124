//go:build !unix

package host

import (
	"context"
	"errors"
	"net"
	"os"
)

// HasUnixSockets reports whether ListenUnix can work.
const HasUnixSockets = false

// unixSocket does not exist here.
type unixSocket struct{ *net.UnixListener }

// ListenUnix fails: a socket could be neither locked nor kept from other users.
func ListenUnix(context.Context, string, os.FileMode) (*unixSocket, error) {
	return nil, errors.New("a Unix socket cannot be listened on in this system")
}
