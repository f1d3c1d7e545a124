package health

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnections bounds the connections of one server. Probes, a scraper and a browser need a few; each
	// connection costs a descriptor of those that the process reserves for what runs beside sessions.
	maxConnections = 16
	// newcomerTime is what a connection gets to send its request before a newer one may take its place.
	newcomerTime = 5 * time.Millisecond
)

// Serve runs server on ln until one of them is closed, with at most maxConnections. One more takes the place
// of the connection that has been silent for longest: half a request, or a kept connection between two
// requests. So nobody who holds connections open keeps a probe out. Serve sets server.ConnState.
func Serve(server *http.Server, ln net.Listener) error {
	limited := &limitListener{
		Listener: ln, conns: map[*limitedConn]struct{}{}, left: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	server.ConnState = limited.changed
	return server.Serve(limited)
}

// limitListener is a listener with a bound on the connections that it accepted.
type limitListener struct {
	net.Listener
	left   chan struct{} // holds one token: a connection was closed
	closed chan struct{} // closed with the listener

	mu      sync.Mutex
	closing bool
	conns   map[*limitedConn]struct{} // those that are open
}

// limitedConn is one connection of a limitListener, which guards its fields.
type limitedConn struct {
	net.Conn
	listener *limitListener
	since    time.Time // when it became what it is
	active   bool      // a whole request is being answered
}

// Accept returns the next connection, as soon as there is room for it. While it waits, the kernel keeps newer
// ones.
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

// admit takes c in if there is room. Otherwise it returns the connection that has to go first, or how long
// that one has left.
func (l *limitListener) admit(c *limitedConn) (wait time.Duration, victim *limitedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if len(l.conns) < maxConnections {
		c.since = now
		l.conns[c] = struct{}{}
		return 0, nil
	}
	for other := range l.conns {
		if victim == nil || other.before(victim) {
			victim = other
		}
	}
	if left := newcomerTime - now.Sub(victim.since); left > 0 {
		return left, nil
	}
	return 0, victim
}

// before reports whether c has to go before other: the silent before the busy, then the one that is so for
// longer.
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

// Close closes the listener; its connections stay.
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
	default: // one token wakes Accept, which counts for itself
	}
	return c.Conn.Close()
}

// CloseWrite ends what the server sends. Behind an answer to a request that it has not read to its end,
// net/http closes in two steps, so that the client still gets the answer.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
