package health

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// MaxConnections bounds the connections of one server. Probes, a scraper and a browser need a few; each
	// connection costs a descriptor of those that the process reserves for what runs beside sessions.
	MaxConnections = 16
	// graceTime is how long a connection may be silent before a newer one may take its place.
	graceTime = 5 * time.Millisecond
	// maxLeaving is how many places may be taken by connections that had to go and have not gone, beside those
	// that may stay. So the next connection need not wait for a goroutine that ends.
	maxLeaving = 32
	// readBuffer bounds what the kernel holds of a connection that nobody reads from. The kernel would let it
	// grow to some MiB. On loopback it has to be larger than a segment.
	readBuffer = 64 << 10
)

// Serve runs server on ln until one of them is closed, with at most MaxConnections. Another connection then
// replaces one as LimitListener says. So open connections cannot keep a probe out. Serve sets
// server.ConnState.
func Serve(server *http.Server, ln net.Listener) error {
	limited := NewLimitListener(ln, MaxConnections)
	server.ConnState = limited.Changed
	return server.Serve(limited)
}

// LimitListener is a listener whose connections share a number of places. Each takes one, and more by Claim.
// When all are taken, the next connection replaces one of the address that has the most places: the one that
// has been silent for longest. So a client that opens connections without end closes its own. A connection is
// silent between two requests and within half a request.
type LimitListener struct {
	net.Listener
	places int

	mu      sync.Mutex
	changed sync.Cond // of what follows
	closing bool
	conns   map[*limitedConn]struct{} // those that the server has not closed
	taken   int                       // places of all conns
	leaving int                       // places of those that had to go, and that the server has not closed yet
}

// NewLimitListener returns ln with so many places. The caller sets Changed as the ConnState of the server.
func NewLimitListener(ln net.Listener, places int) *LimitListener {
	l := &LimitListener{Listener: ln, places: places, conns: map[*limitedConn]struct{}{}}
	l.changed.L = &l.mu
	return l
}

// limitedConn is a connection of a LimitListener. The mutex of the listener guards the fields below from.
type limitedConn struct {
	net.Conn
	listener *LimitListener
	left     chan struct{} // closed when it had to go
	from     netip.Addr    // of the other side; invalid for a Unix socket

	leaving bool
	places  int
	since   time.Time // of the latest change of active
	active  bool      // a whole request is being answered
}

// Accept returns the next connection as soon as there is room for it. Until then, newer ones wait in the
// kernel.
func (l *LimitListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &limitedConn{Conn: conn, listener: l, left: make(chan struct{})}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(readBuffer) // otherwise it grows
		if addr, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
			c.from = addr.AddrPort().Addr()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.since = time.Now()
	l.conns[c] = struct{}{}
	if !l.take(c, 1, graceTime) {
		delete(l.conns, c)
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// take gives c so many more places. It makes others leave that have been silent for the grace time, and waits
// until there is room. It returns false if c had to go or the listener was closed before. The caller holds mu.
func (l *LimitListener) take(c *limitedConn, places int, grace time.Duration) bool {
	for !c.leaving && (!l.closing || c.places > 0) {
		victim := l.next(c)
		tooMany := l.taken-l.leaving+places > l.places
		switch {
		case !tooMany && l.taken+places <= l.places+maxLeaving || victim == nil && l.leaving == 0:
			c.places += places
			l.taken += places
			return true
		case tooMany && victim != nil:
			left := grace - time.Since(victim.since)
			if left <= 0 {
				l.dismiss(victim)
				continue
			}
			defer time.AfterFunc(left, l.changed.Broadcast).Stop()
		}
		l.changed.Wait()
	}
	return false
}

// next returns the connection that has to leave for the sake of c, or nil if there is no other.
func (l *LimitListener) next(c *limitedConn) (victim *limitedConn) {
	taken := map[netip.Addr]int{}
	for other := range l.conns {
		if !other.leaving {
			taken[other.from] += other.places
		}
	}
	before := func(a, b *limitedConn) bool {
		switch {
		case taken[a.from] != taken[b.from]:
			return taken[a.from] > taken[b.from]
		case a.active != b.active:
			return !a.active
		}
		return a.since.Before(b.since)
	}
	for other := range l.conns {
		if other != c && !other.leaving && (victim == nil || before(other, victim)) {
			victim = other
		}
	}
	return victim
}

// dismiss makes a connection leave. Its places are free when the server has closed it.
func (l *LimitListener) dismiss(c *limitedConn) {
	c.leaving = true
	l.leaving += c.places
	close(c.left)
	_ = c.Conn.Close()
	l.changed.Broadcast()
}

// Claim gives a connection of l, or one of TLS over it, so many places more until its request is answered. If
// there are too few, others have to go. It returns false if conn itself had to.
func (l *LimitListener) Claim(conn net.Conn, places int) bool {
	c := limited(conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c == nil || places == 0 {
		return c != nil && !c.leaving
	}
	return l.take(c, places, 0)
}

// limited returns nil if conn is from elsewhere.
func limited(conn net.Conn) *limitedConn {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok { // as *tls.Conn is
		conn = secure.NetConn()
	}
	c, _ := conn.(*limitedConn)
	return c
}

// Left returns a channel that is closed when a connection of a LimitListener had to go. It returns nil for
// others.
func Left(conn net.Conn) <-chan struct{} {
	if c := limited(conn); c != nil {
		return c.left
	}
	return nil
}

// Changed is for http.Server.ConnState.
func (l *LimitListener) Changed(conn net.Conn, state http.ConnState) {
	c := limited(conn)
	if c == nil || state != http.StateActive && state != http.StateIdle {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.active, c.since = state == http.StateActive, time.Now()
	if !c.active && !c.leaving && c.places > 1 {
		l.taken -= c.places - 1
		c.places = 1
		l.changed.Broadcast()
	}
}

// Close closes the listener. Its connections stay open.
func (l *LimitListener) Close() error {
	l.mu.Lock()
	l.closing = true
	l.changed.Broadcast()
	l.mu.Unlock()
	return l.Listener.Close()
}

// Close closes the connection and makes room for another.
func (c *limitedConn) Close() error {
	l := c.listener
	l.mu.Lock()
	if _, open := l.conns[c]; open {
		delete(l.conns, c)
		l.taken -= c.places
		if c.leaving {
			l.leaving -= c.places
		}
		l.changed.Broadcast()
	}
	l.mu.Unlock()
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
