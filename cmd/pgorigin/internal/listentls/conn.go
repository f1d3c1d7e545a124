package listentls

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// Conn is the TLS connection of a client. Its deadlines are those of the connection below TLS. The owner of that
// connection sets them.
type Conn struct {
	*tls.Conn
	wire *wire

	ahead  [1]byte // what AwaitInput has read
	isRead bool    // ahead holds a byte
}

// AwaitInput waits until Read returns at once. The reader needs no buffer meanwhile: most sessions are idle.
func (c *Conn) AwaitInput() error {
	if c.isRead {
		return nil
	}
	n, err := c.Conn.Read(c.ahead[:])
	c.isRead = n > 0
	return err
}

// Read implements net.Conn. After AwaitInput it does not wait.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.isRead || len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.isRead = false
	p[0] = c.ahead[0]
	c.wire.instant = true
	n, _ := c.Conn.Read(p[1:]) // an error comes again
	c.wire.instant = false
	return 1 + n, nil
}

// TLSVersion returns the version in words.
func (c *Conn) TLSVersion() string { return tls.VersionName(c.ConnectionState().Version) }

// CloseWrite sends close_notify and the end of the TCP stream. The connection can still be read.
func (c *Conn) CloseWrite() error {
	err := c.Conn.CloseWrite()
	if half, ok := c.wire.Conn.(interface{ CloseWrite() error }); ok {
		err = errors.Join(err, half.CloseWrite())
	}
	return err
}

// wire is the connection below TLS.
//
// A write that has timed out would break TLS for good, although its deadline may only be the interrupt of a
// session, which then tells its client why it ends. So wire keeps what had no room, and sends it ahead of the next
// write. A peer that misses a record takes the next one for a forgery: once a record is lost, nothing follows it.
type wire struct {
	net.Conn
	unsent   []byte
	lost     error             // why a record could not be sent
	instant  bool              // reads do not wait
	lastRead *[plainAlert]byte // the end of what has been read in the handshake; nil after it
}

// maxUnsent is more than what a relay writes until it sees that it is interrupted, and what the end adds to it.
const maxUnsent = 128 << 10

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if w.instant {
		return 0, syscall.EAGAIN // a temporary net.Error: TLS keeps its state and can be asked again
	}
	n, err := w.Conn.Read(p)
	if w.lastRead != nil {
		read := append(w.lastRead[:], p[max(n-plainAlert, 0):n]...)
		copy(w.lastRead[:], read[len(read)-plainAlert:])
	}
	return n, err
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if w.lost != nil {
		return 0, w.lost
	}
	if len(w.unsent) > 0 {
		n, err := w.Conn.Write(w.unsent)
		w.unsent = w.unsent[n:]
		if err != nil {
			return w.keep(p, 0, err)
		}
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		return w.keep(p, n, err)
	}
	return n, nil
}

// keep keeps p without its first n bytes, which were written before err.
func (w *wire) keep(p []byte, n int, err error) (int, error) {
	if rest := p[n:]; errors.Is(err, os.ErrDeadlineExceeded) && len(w.unsent)+len(rest) <= maxUnsent {
		w.unsent = append(w.unsent, rest...)
		return len(p), nil
	}
	w.lost = err
	return n, err
}

// SetWriteDeadline does nothing. tls.Conn calls it to give close_notify five seconds, and to make later writes
// fail, which they do anyway.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
