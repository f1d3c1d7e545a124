package tlsorigin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// CheckIdle returns nil if c is alive and the upstream has sent no data, without waiting. Bytes on the socket
// say nothing: pgbouncer sends TLS tickets after the handshake. Only what TLS makes of them counts. An
// upstream that waits for a startup packet sends no data; if it has sent some, the error is
// ErrUnexpectedData, with them. No Read or Write may be under way.
func (c *Conn) CheckIdle() error {
	socket := c.Socket()
	c.SetNonBlocking(instant{socket})
	defer c.SetBlocking(socket)
	buf := wireBuffers.Get().(*[]byte)
	defer wireBuffers.Put(buf)
	n, _, err := c.TryRead((*buf)[:cap(*buf)])
	switch {
	case n > 0: // pgbouncer: client_login_timeout
		return fmt.Errorf("%w: %s", ErrUnexpectedData, safetext.Quote(string((*buf)[:n])))
	case errors.Is(err, syscall.EAGAIN):
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("the upstream closed the connection")
	}
	return err
}

// ErrUnexpectedData is the error of an upstream that sent data before it was asked.
var ErrUnexpectedData = errors.New("the upstream spoke before it was asked")

// instant is a socket whose Read never waits.
type instant struct{ net.Conn }

// SyscallConn returns an error if the socket has no descriptor.
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
		return 0, syscall.EAGAIN
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
