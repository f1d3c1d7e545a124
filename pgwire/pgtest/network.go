package pgtest

import (
	"net"
	"sync"
	"testing"
)

// TCPPair returns the two ends of a loopback connection.
func TCPPair(tb testing.TB) (near, far net.Conn) {
	tb.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	defer ln.Close()
	var d net.Dialer
	near, err = d.DialContext(tb.Context(), "tcp", ln.Addr().String())
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	if far, err = ln.Accept(); err != nil {
		tb.Fatalf("accept: %v", err)
	}
	return near, far
}

// Listener accepts connections that tests hand it, also inside a bubble of
// testing/synctest, where real sockets do not work.
type Listener struct {
	conns chan net.Conn
	errs  chan error
	done  chan struct{}
	once  sync.Once
}

// NewListener returns a listener without an address in any network.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), errs: make(chan error), done: make(chan struct{})}
}

// Hand makes Accept return conn.
func (l *Listener) Hand(conn net.Conn) { l.conns <- conn }

// Fail makes Accept return err once.
func (l *Listener) Fail(err error) { l.errs <- err }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case err := <-l.errs:
		return nil, err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "pgtest", Net: "test"} }
