package health

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// MaxConnections bounds the connections of one server. Probes, a scraper and a browser need a few; each
	// connection costs a descriptor of those that the process reserves for what runs beside sessions.
	MaxConnections = 16
	// graceTime is how long a connection may be silent before a newer one may take its place.
	graceTime = 5 * time.Millisecond
)

// Serve runs server on ln until one of them is closed, with at most MaxConnections. One more connection
// replaces the one that has been silent for longest. A connection is silent between two requests and within
// half a request. So open connections cannot keep a probe out. Serve sets server.ConnState.
func Serve(server *http.Server, ln net.Listener) error {
	limited := &limitListener{
		Listener: ln, conns: map[*limitedConn]struct{}{},
		left: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	server.ConnState = limited.changed
	return server.Serve(limited)
}

// limitListener bounds the number of connections that it accepted.
type limitListener struct {
	net.Listener
	left   chan struct{} // holds one token: a connection was closed
	closed chan struct{} // closed with the listener

	mu      sync.Mutex
	closing bool
	conns   map[*limitedConn]struct{} // the open ones
}

// limitedConn is a connection of a limitListener. The mutex of the listener guards since and active.
type limitedConn struct {
	net.Conn
	listener *limitListener
	since    time.Time // of the latest change of active
	active   bool      // a whole request is being answered
}

// Accept returns the next connection as soon as there is room for it. Until then, newer ones wait in the
// kernel.
func (l *limitListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &limitedConn{Conn: conn, listener: l}
	for {
		wait, victim := l.admit(c)
		switch {
		case victim != nil:
			_ = victim.Close()
			continue
		case wait == 0:
			return c, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.left:
		case <-l.closed:
			timer.Stop()
			_ = conn.Close()
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
}

// admit adds c if there is room. Otherwise it returns the connection to close, or how long that one may stay.
func (l *limitListener) admit(c *limitedConn) (wait time.Duration, victim *limitedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if len(l.conns) < MaxConnections {
		c.since = now
		l.conns[c] = struct{}{}
		return 0, nil
	}
	for other := range l.conns {
		if victim == nil || other.before(victim) {
			victim = other
		}
	}
	if left := graceTime - now.Sub(victim.since); left > 0 {
		return left, nil
	}
	return 0, victim
}

// before reports whether c is closed before other. Silent connections go before busy ones, then older ones
// before newer ones.
func (c *limitedConn) before(other *limitedConn) bool {
	if c.active != other.active {
		return !c.active
	}
	return c.since.Before(other.since)
}

// changed is http.Server.ConnState.
func (l *limitListener) changed(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*limitedConn)
	if !ok || state != http.StateActive && state != http.StateIdle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.active, c.since = state == http.StateActive, time.Now()
}

// Close closes the listener. Its connections stay open.
func (l *limitListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing {
		l.closing = true
		close(l.closed)
	}
	return l.Listener.Close()
}

// Close closes the connection and makes room for another.
func (c *limitedConn) Close() error {
	l := c.listener
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	select {
	case l.left <- struct{}{}:
	default: // one token is enough to wake Accept
	}
	return c.Conn.Close()
}

// CloseWrite closes the sending side. net/http calls it before Close if it has not read the request to its
// end, so that the client still gets the response.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
