package pgwire

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// eachRelay runs a test of the relay with copying goroutines and with event
// loops, where the system has them.
func eachRelay(t *testing.T, play func(t *testing.T, r *rig)) {
	t.Helper()
	for name, portable := range map[string]bool{"goroutines": true, "loop": false} {
		t.Run(name, func(t *testing.T) {
			play(t, newTCPRig(t, func(s *Server) { s.portable = portable }))
		})
	}
}

// eventedConn is an upstream connection in the clear that an event loop can relay.
type eventedConn struct {
	net.Conn
	remote net.Addr
	unsent []byte
	ending bool // its stream ends behind unsent
}

func (c *eventedConn) RemoteAddr() net.Addr { return c.remote } // also asked for by cancels

func (c *eventedConn) Socket() net.Conn          { return c.Conn }
func (c *eventedConn) SetNonBlocking(s net.Conn) { c.Conn = s }

func (c *eventedConn) TryRead(p []byte) (n int, more bool, err error) {
	n, err = c.Conn.Read(p[:relayRead])
	return n, n == relayRead, err
}

func (c *eventedConn) TryWrite(p []byte) (flushed bool, err error) {
	if len(p) > relayWrite || len(c.unsent) > 0 {
		return false, errors.New("more than was agreed upon")
	}
	c.unsent = append(c.unsent, p...)
	return c.TryFlush()
}

func (c *eventedConn) TryFlush() (flushed bool, err error) {
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

func (c *eventedConn) CloseWrite() error {
	if c.ending = len(c.unsent) > 0; c.ending {
		return nil
	}
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}
