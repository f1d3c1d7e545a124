package pgtest

import (
	"errors"
	"net"
	"syscall"
)

const (
	mostRead  = 32 << 10 // of one TryRead
	mostWrite = 64 << 10 // of one TryWrite
)

// Upstream makes a connection in the clear a pgwire.Upstream. Over TCP an event loop can relay it.
type Upstream struct {
	net.Conn
	// EndPoint is what a login can be bound to. Nil means nothing.
	EndPoint []byte

	remote net.Addr
	unsent []byte
	ending bool // CloseWrite was called: the stream ends behind unsent
}

// NewUpstream returns an Upstream over conn.
func NewUpstream(conn net.Conn) *Upstream { return &Upstream{Conn: conn, remote: conn.RemoteAddr()} }

// RemoteAddr returns the address of the connection, also after its end.
func (c *Upstream) RemoteAddr() net.Addr { return c.remote }

// CanBind reports whether there is an EndPoint.
func (c *Upstream) CanBind() bool { return c.EndPoint != nil }

// ServerEndPoint returns EndPoint.
func (c *Upstream) ServerEndPoint() ([]byte, error) { return c.EndPoint, nil }

// Socket returns a TCP connection, and nil in place of any other.
func (c *Upstream) Socket() net.Conn {
	if _, ok := c.Conn.(*net.TCPConn); ok {
		return c.Conn
	}
	return nil
}

// SetNonBlocking replaces the connection.
func (c *Upstream) SetNonBlocking(socket net.Conn) { c.Conn = socket }

// TryRead reads once.
func (c *Upstream) TryRead(p []byte) (n int, more bool, err error) {
	n, err = c.Conn.Read(p[:mostRead])
	return n, n == mostRead, err
}

// TryWrite sends what there is room for and keeps the rest.
func (c *Upstream) TryWrite(p []byte) (flushed bool, err error) {
	if len(p) > mostWrite || len(c.unsent) > 0 {
		return false, errors.New("more than was agreed upon")
	}
	c.unsent = append(c.unsent, p...)
	return c.TryFlush()
}

// TryFlush sends what there is room for of the rest.
func (c *Upstream) TryFlush() (flushed bool, err error) {
	n, err := c.Conn.Write(c.unsent)
	c.unsent = c.unsent[n:]
	if errors.Is(err, syscall.EAGAIN) {
		err = nil
	}
	if len(c.unsent) == 0 && c.ending {
		return true, c.CloseWrite()
	}
	return len(c.unsent) == 0, err
}

// CloseWrite ends the stream behind what is not sent yet. A connection that cannot half-close ignores it.
func (c *Upstream) CloseWrite() error {
	if c.ending = len(c.unsent) > 0; c.ending {
		return nil
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
