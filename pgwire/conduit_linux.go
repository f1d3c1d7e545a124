package pgwire

import (
	"errors"
	"sync"
	"syscall"
	"time"
)

// conduit is the relay of one session on an event loop, whose goroutine alone
// touches it once it is there. It holds no buffer while it waits, unless for a
// reader that is slower than what it reads.
type conduit struct {
	session  *session
	loop     *loop
	client   *socket
	upstream Upstream
	carrier  *socket // of upstream
	slot     int32
	queued   bool // in loop.ready
	inBulk   bool // in loop.bulk
	gone     bool // from the loop
	detach   func() bool
	refused  bool          // the upstream takes nothing more: what the client sends is dropped
	delivery *time.Timer   // nil until the upstream has ended and the client has not got all
	pause    time.Duration // of delivery

	fromClient, fromUpstream direction
	backlog                  *[]byte // pooled: what the client has had no room for yet; nil when empty
	delivered                int     // of backlog
	unflushed                bool    // the upstream has had no room for all yet
}

//nolint:gochecknoglobals // a pool is worth something only if all sessions share it
var backlogs = sync.Pool{New: func() any { b := make([]byte, 0, relayRead+relaySlack); return &b }}

// direction is what is known about reading from one side.
type direction struct {
	readable bool // there may be something
	hungUp   bool // and behind it the end: no event will announce that again
	urgent   int  // so many reads may come short of what is there: urgent data are in between
	done     bool // nothing more is read
	held     bool // nothing is read until the other side has room

	socket *socket
	lot    int       // bytes
	streak int       // bytes since the other side last sent something
	bulk   bool      // the loop is woken for a lot only
	late   bool      // it looks although there may be less
	due    time.Time // when it does
}

// joinLoop gives both connections to an event loop. If it cannot, they are as before.
func (s *session) joinLoop() bool {
	c := &conduit{session: s, upstream: s.upstreamConn}
	var err error
	if c.client, err = newSocket(s.client.Conn); err != nil {
		return false
	}
	if c.carrier, err = newSocket(c.upstream.Socket()); err == nil {
		c.fromClient.socket, c.fromUpstream.socket = c.client, c.carrier
		c.fromClient.lot, c.fromUpstream.lot = clientLot, upstreamLot
		// What came before the sockets were watched is found by looking.
		c.fromClient.readable, c.fromUpstream.readable = true, true
		if loops.add(c) == nil {
			return true
		}
		_ = c.carrier.Close()
	}
	_ = c.client.Close()
	return false
}

// adopt makes the sockets the only way to the connections.
func (c *conduit) adopt() {
	_ = c.session.client.Close()
	_ = c.upstream.Socket().Close()
	c.session.client.Conn = c.client
	c.upstream.SetNonBlocking(c.carrier)
	c.detach = afterEnd(c.session, c)
}

// pump moves what can be moved now, at most a buffer in each direction, and
// reports whether there is more to do at once.
func (c *conduit) pump(buf []byte) (again bool) {
	c.pumpToUpstream(buf[:relayWrite])
	c.pumpToClient(buf[:relayRead+relaySlack])
	return !c.over() && (c.fromClient.readable && !c.unflushed && !c.fromClient.done && !c.fromClient.held ||
		c.fromUpstream.readable && c.backlog == nil && !c.fromUpstream.done && !c.fromUpstream.held)
}

// hold reports whether nothing may be read from d now, because to has no room.
// Under a memory limit no session of many may keep a buffer for a peer that takes
// nothing. The kernel tells when there is room, as nobody else has it asked.
func (c *conduit) hold(d *direction, to *socket) bool {
	d.held = d.streak >= bulkAfter && c.session.server.capacity().Pressed != nil && !c.refused && !to.hasRoom()
	if d.held {
		c.relax(d)
	}
	return d.held
}

// over reports whether there is nothing left to relay or deliver.
func (c *conduit) over() bool {
	return c.session.ctx.Err() != nil || c.fromUpstream.done && !undelivered(c.session.client.Conn)
}

// awaitDelivery has the loop look again after a while, for no event tells that
// the client has got all.
func (c *conduit) awaitDelivery() {
	if c.delivery == nil {
		c.pause = deliveryPause
		c.delivery = time.AfterFunc(c.pause, func() { c.loop.post(c) })
		return
	}
	c.pause = longer(c.pause)
	c.delivery.Reset(c.pause)
}

// pumpToUpstream reads nothing from the client before the upstream has taken
// what it was given: that is the back-pressure.
func (c *conduit) pumpToUpstream(buf []byte) {
	s := c.session
	c.fromClient.held = false
	if c.unflushed && !c.flush() || !c.fromClient.readable || c.fromClient.done || c.hold(&c.fromClient, c.carrier) {
		return
	}
	n, err := c.client.Read(buf)
	c.fromClient.readable = n == len(buf) || c.fromClient.hungUp
	c.read(&c.fromClient, &c.fromUpstream, n)
	if n > 0 && !c.refused {
		if !s.tracker.clientSays(buf[:n]) {
			return // it has been ended
		}
		flushed, err := c.upstream.TryWrite(buf[:n])
		if err == nil {
			s.toUpstream.Add(int64(n))
		}
		c.wrote(flushed, err)
		s.drainIfAsked()
	}
	switch {
	case err == nil:
	case errors.Is(err, syscall.EAGAIN):
		c.fromClient.readable = false
	default:
		c.fromClient.done = true
		s.sideEnded(downstream, err)
		c.flush()
	}
	c.fromClient.passUrgent()
}

// passUrgent has the direction read once more, if urgent data may have cut a read short.
func (d *direction) passUrgent() {
	if d.urgent > 0 {
		d.urgent--
		d.readable = true
	}
}

// flush sends what the upstream has had no room for, and reports whether all is sent.
func (c *conduit) flush() bool {
	c.wrote(c.upstream.TryFlush())
	return !c.unflushed
}

// wrote takes note of what became of a write to the upstream.
func (c *conduit) wrote(flushed bool, err error) {
	if c.unflushed = !flushed && err == nil; c.unflushed {
		c.relax(&c.fromClient) // nothing is read from there now, however much has come
	}
	if err != nil && !c.refused {
		c.refused = true
		c.session.upstreamRefuses(err)
		c.fromUpstream.readable, c.fromUpstream.hungUp = true, true // what it has said, and then its end
	}
}

// pumpToClient reads nothing from the upstream before the client has taken what
// it was given.
func (c *conduit) pumpToClient(buf []byte) {
	s := c.session
	c.fromUpstream.held = false
	if c.backlog != nil && !c.deliverBacklog() || !c.fromUpstream.readable || c.fromUpstream.done || c.hold(&c.fromUpstream, c.client) {
		return
	}
	n, more, err := c.upstream.TryRead(buf)
	c.fromUpstream.readable = more || c.fromUpstream.hungUp
	c.read(&c.fromUpstream, &c.fromClient, n)
	if n > 0 && !c.deliver(buf[:n]) {
		return
	}
	if again := errors.Is(err, syscall.EAGAIN) && !c.refused; err == nil || again {
		c.fromUpstream.readable = c.fromUpstream.readable && !again
		c.fromUpstream.passUrgent()
		if !c.unflushed {
			c.flush() // TLS may have had something to answer
		}
		return
	}
	s.noteEnding(upstream, err)
	if c.backlog != nil {
		c.fromUpstream.readable = true // the end is found again when the client has taken the rest
	} else {
		c.fromUpstream.done, c.refused, c.unflushed = true, true, false
		c.fromClient.readable = true // no bulk of it is waited for any more
	}
}

// deliver gives p to the client and keeps what it has no room for. It returns
// false if the client is gone.
func (c *conduit) deliver(p []byte) bool {
	rest, err := c.session.giveClient(p)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		_ = c.session.clientLost(err)
		return false
	}
	if len(rest) > 0 {
		c.backlog, c.delivered = backlogs.Get().(*[]byte), 0
		*c.backlog = append((*c.backlog)[:0], rest...)
		c.relax(&c.fromUpstream) // nothing is read from there now, however much has come
	}
	return true
}

// deliverBacklog reports whether the client has taken all of it.
func (c *conduit) deliverBacklog() bool {
	rest, err := c.session.deliver((*c.backlog)[c.delivered:])
	c.delivered = len(*c.backlog) - len(rest)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		_ = c.session.clientLost(err)
		return false
	}
	if c.delivered < len(*c.backlog) {
		return false
	}
	backlogs.Put(c.backlog)
	c.backlog = nil
	return true
}

// finish ends a session that has left its loop, on a goroutine of its own: there
// may be last words to say, and somebody who observes.
func (c *conduit) finish() {
	s := c.session
	c.detach()
	if c.delivery != nil {
		c.delivery.Stop()
	}
	err := s.verdict()
	if err != nil {
		if conn, broken := c.client.giveBack(); broken == nil {
			s.client.Conn = conn // a farewell takes time
		}
	}
	s.finish(err)
}
