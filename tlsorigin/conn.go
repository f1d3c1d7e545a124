package tlsorigin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/alert"
)

// Addr is the remote address of a Conn. As the target of Dialer.Dial it leads to the same place again.
type Addr struct {
	TCP  net.Addr // resolved
	Host string   // host:port as configured
}

// Network returns the network of the resolved address.
func (a *Addr) Network() string { return a.TCP.Network() }

// String returns the resolved address.
func (a *Addr) String() string { return a.TCP.String() }

// Conn is a verified connection to the upstream.
//
// One goroutine may read while another one writes. Any goroutine may set deadlines and call Close.
//
// An error of Read or Write is an *Error if the connection is lost. A timeout leaves the connection readable.
// A write that timed out part-way has broken it for writing, as with every tls.Conn.
type Conn struct {
	tls    *tls.Conn
	wire   *wire
	auth   *clientAuth
	remote *Addr
	ticket *ticket               // nil means that no session is resumed or kept
	chains [][]*x509.Certificate // verified

	generation uint64 // of the state under which it was verified
	rejected   func() // called when the upstream rejects the client certificate; may be nil

	answered atomic.Bool // application data have arrived

	ahead  [1]byte // what AwaitInput has read
	isRead bool    // ahead holds a byte
}

// AwaitInput waits until Read returns at once. The reader needs no buffer meanwhile. It must not be called after
// SetNonBlocking.
func (c *Conn) AwaitInput() error {
	if c.isRead {
		return nil
	}
	n, err := c.Read(c.ahead[:])
	c.isRead = n > 0
	return err
}

// Read reads decrypted bytes. In TLS 1.3 the upstream checks the client certificate after our side of the
// handshake is done. Its rejection is the first thing that Read returns, as an *Error of
// ReasonClientCertRequired or ReasonClientCertRejected. It can be read even after a Write has failed because
// the upstream closed the connection. After AwaitInput, Read does not wait.
func (c *Conn) Read(p []byte) (int, error) {
	if c.isRead && len(p) > 0 {
		c.isRead = false
		p[0] = c.ahead[0]
		c.wire.instant = true
		n, _ := c.tls.Read(p[1:]) // an error comes again
		c.wire.instant = false
		return 1 + n, nil
	}
	n, err := c.tls.Read(p)
	if n > 0 {
		c.answered.Store(true)
	}
	if err != nil {
		err = c.failure(err)
	}
	return n, err
}

// Write encrypts and sends p.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.tls.Write(p)
	if err != nil {
		err = c.failure(err)
	}
	return n, err
}

// failure turns the loss of the connection into an *Error and leaves every other end as it is.
func (c *Conn) failure(err error) error {
	switch {
	case errors.Is(err, io.EOF) && !c.wire.lost.Load(),
		errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		return err
	}
	if c.wire.lost.Load() {
		err = fmt.Errorf("%w, seen as %w", syscall.ETIMEDOUT, err)
	}
	lost := &Error{Addr: c.remote.Host, Resolved: c.remote.TCP, Err: err, sqlState: sqlStateConnectionLost}
	found := alertFailure(err, c.auth)
	switch {
	case found != nil && !c.answered.Load():
		lost.sqlState = sqlStateCannotConnect // its part of the handshake ends with its first data
		c.ticket.failed()
		if found.reason == ReasonClientCertRejected && c.rejected != nil {
			c.rejected()
		}
	case found != nil:
		number, _ := alert.Number(err)
		found = because(ReasonTLSAlert, "ended the connection with %s", alert.Name(number))
	default:
		found = connectionLost(err)
	}
	lost.Kind, lost.Case, lost.Value, lost.Text = found.reason, found.which, found.value, found.text
	return lost
}

// CloseWrite sends close_notify and the end of the TCP stream, after all that was written. It waits for room
// in the peer's window, as Write does. The connection can still be read, and not written any more.
func (c *Conn) CloseWrite() error {
	if err := c.tls.CloseWrite(); err != nil {
		return c.failure(err)
	}
	c.wire.finished = true
	if err := c.wire.finish(); err != nil {
		return c.failure(err)
	}
	return nil
}

// Close sends close_notify, if the peer's window has room for it within CloseGrace, and closes the
// connection. Running reads and writes end.
func (c *Conn) Close() error {
	c.wire.closing()
	err := c.tls.Close()
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // the caller need not know that there was no room for close_notify
}

// ConnectionState describes the verified TLS connection.
func (c *Conn) ConnectionState() tls.ConnectionState {
	state := c.tls.ConnectionState()
	state.VerifiedChains = c.chains
	return state
}

// LocalAddr returns the local address.
func (c *Conn) LocalAddr() net.Addr { return c.tls.LocalAddr() }

// RemoteAddr returns an *Addr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets the deadlines of Read and Write.
func (c *Conn) SetDeadline(t time.Time) error { return c.wire.setDeadline(t) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.wire.Conn.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of Write. See Conn for what a missed deadline means.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.wire.setWriteDeadline(t) }
