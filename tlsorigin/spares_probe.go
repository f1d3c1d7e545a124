package tlsorigin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// probeSpare returns nil if c is alive, without waiting. Bytes on the socket say nothing: pgbouncer sends TLS tickets after
// the handshake. Only what TLS makes of them does, and that is nothing as long as the upstream waits for a startup packet.
func probeSpare(c *Conn) error {
	socket := c.Socket()
	c.SetNonBlocking(instant{socket})
	defer c.SetBlocking(socket)
	buf := wireBuffers.Get().(*[]byte)
	defer wireBuffers.Put(buf)
	n, _, err := c.TryRead((*buf)[:cap(*buf)])
	switch {
	case n > 0: // pgbouncer: client_login_timeout
		return fmt.Errorf("%w: %s", errSpoke, safetext.Quote(string((*buf)[:n])))
	case errors.Is(err, syscall.EAGAIN):
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("the upstream closed the connection")
	}
	return err
}

var errSpoke = errors.New("the upstream spoke before it was asked")

// instant is a socket that is never waited for when it is read.
type instant struct{ net.Conn }

// SyscallConn returns nil where nobody can tell anything about the socket.
func (i instant) SyscallConn() (syscall.RawConn, error) {
	if raw := descriptor(i.Conn); raw != nil {
		return raw, nil
	}
	return nil, errors.ErrUnsupported
}

// Read returns EAGAIN if there is nothing.
func (i instant) Read(p []byte) (int, error) {
	raw := descriptor(i.Conn)
	if raw == nil {
		return 0, syscall.EAGAIN // nobody can tell
	}
	n := 0
	var err error
	if stopped := raw.Read(func(fd uintptr) bool {
		n, err = readDescriptor(fd, p)
		return true
	}); stopped != nil {
		return 0, stopped
	}
	return n, err
}
