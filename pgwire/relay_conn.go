package pgwire

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/evloop"
)

// streamAfter is how many bytes one side sends, without a byte from the other, until the relay takes them for
// a large result or a COPY.
const streamAfter = 128 << 10

// batchSize is how much of a large result should have arrived before the loop looks at it: most of what one
// TryRead takes.
const batchSize = 24 << 10

// relayConn relays one session on an event loop, and is the owner of both connections from Adopt to End: the
// goroutine of the loop alone reads, writes and half-closes them. Then End, on a goroutine of its own, closes
// them. It holds no buffer while it waits, unless for a client that is slower than its upstream.
type relayConn struct {
	evloop.Pair

	session  *session
	client   *evloop.Socket
	upstream Upstream
	carrier  *evloop.Socket // of upstream
	detach   func() bool    // stops watching the context of the session
	refused  bool           // the upstream takes nothing more: what the client sends is dropped
	delivery *time.Timer    // nil until the upstream has ended and the client has not got everything
	pause    time.Duration  // of delivery

	fromClient, fromUpstream direction
	backlog                  *[]byte // pooled: what the client has had no room for yet; nil when empty
	delivered                int     // of backlog
	unflushed                bool    // the upstream has had no room for all yet
}

// direction is the state of reading from one side.
type direction struct {
	done   bool // nothing more is read
	held   bool // nothing is read until the other side has room
	streak int  // bytes since the other side last sent something
}

//nolint:gochecknoglobals // a pool only helps if all sessions share it
var backlogs = sync.Pool{New: func() any { b := make([]byte, 0, relayRead+relaySlack); return &b }}

// moveToLoop hands both connections to an event loop, if that is possible, and reports whether it did. The
// goroutine of the session then has nothing left to do. Otherwise both connections are as before.
func (s *session) moveToLoop() bool {
	carrier := s.upstreamConn.Socket()
	if carrier == nil || s.server.portable || s.client.secured {
		return false
	}
	if !s.client.release() || !s.upstream.release() { // the session was ended in this moment
		s.client.interrupt()
		s.upstream.interrupt()
		return false
	}
	c := &relayConn{session: s, upstream: s.upstreamConn}
	var err error
	if c.client, err = evloop.NewSocket(s.client.socket); err == nil {
		if c.carrier, err = evloop.NewSocket(carrier); err == nil {
			if err = s.server.capacity().loops.Add(&c.Pair, c, c.client, c.carrier); err == nil {
				return true
			}
			_ = c.carrier.Close()
		}
		_ = c.client.Close()
	}
	s.client.watch(s.ctx)
	s.upstream.watch(s.ctx)
	return false
}

// Adopt implements evloop.Relay.
func (c *relayConn) Adopt() {
	_ = c.session.client.Close()
	_ = c.upstream.Socket().Close()
	c.session.client.reconnect(c.client)
	c.upstream.SetNonBlocking(c.carrier)
	c.detach = context.AfterFunc(c.session.ctx, c.Wake)
}

// Turn implements evloop.Relay.
func (c *relayConn) Turn(buf []byte) evloop.Next {
	if c.over() {
		return evloop.Done
	}
	c.relayToUpstream(buf[:relayWrite])
	c.relayToClient(buf[:relayRead+relaySlack])
	switch {
	case c.over():
		return evloop.Done
	case c.client.Readable && !c.unflushed && !c.fromClient.done && !c.fromClient.held,
		c.carrier.Readable && c.backlog == nil && !c.fromUpstream.done && !c.fromUpstream.held:
		return evloop.Again
	case c.fromUpstream.done:
		c.awaitDelivery()
	}
	return evloop.Wait
}

// End implements evloop.Relay.
func (c *relayConn) End() {
	s := c.session
	c.detach()
	if c.delivery != nil {
		c.delivery.Stop()
	}
	err := s.relayError()
	if err != nil {
		if conn, broken := c.client.GiveBack(); broken == nil {
			s.client.reconnect(conn) // an ErrorResponse and an orderly close take time
		}
	}
	s.finish(err)
}

// over reports whether nothing is left to relay or deliver.
func (c *relayConn) over() bool {
	return c.session.ctx.Err() != nil || c.fromUpstream.done && !evloop.Undelivered(c.session.client.socket)
}

// awaitDelivery asks for another Turn after a pause, because no event tells that the client has got
// everything.
func (c *relayConn) awaitDelivery() {
	if c.delivery == nil {
		c.pause = deliveryPause
		c.delivery = time.AfterFunc(c.pause, c.Wake)
		return
	}
	c.pause = longer(c.pause)
	c.delivery.Reset(c.pause)
}

// hold reports whether nothing may be read from d now, because to has no room. Under a memory limit, sessions
// must not keep buffers for peers that read nothing. An event tells when there is room.
func (c *relayConn) hold(d *direction, to *evloop.Socket) bool {
	limited := c.session.server.capacity().Pressed != nil
	d.held = limited && d.streak >= streamAfter && !c.refused && !to.HasRoom()
	if d.held {
		c.AwaitAny(c.carrier)
	}
	return d.held
}

// relayToUpstream reads nothing from the client before the upstream has taken what it was given: that is the
// back-pressure.
func (c *relayConn) relayToUpstream(buf []byte) {
	s := c.session
	c.fromClient.held = false
	if c.unflushed && !c.flush() || !c.client.Readable || c.fromClient.done ||
		c.hold(&c.fromClient, c.carrier) {
		return
	}
	n, err := c.client.Read(buf)
	c.client.WasRead(n == len(buf), err)
	c.fromClient.count(n, &c.fromUpstream)
	if n > 0 {
		c.AwaitAny(c.carrier) // an answer is due
	}
	if n > 0 && !c.refused {
		if !s.tracker.clientSays(buf[:n]) {
			return // the session has been ended
		}
		flushed, err := c.upstream.TryWrite(buf[:n])
		if err == nil {
			s.toUpstream.Add(int64(n))
		}
		c.wrote(flushed, err)
		s.drainIfAsked()
	}
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		c.fromClient.done = true
		s.sideEnded(downstream, err)
		c.flush()
	}
}

// count adds n bytes to the streak of one direction and ends that of the other.
func (d *direction) count(n int, other *direction) {
	if n > 0 {
		d.streak += n
		other.streak = 0
	}
}

// flush sends what the upstream has had no room for, and reports whether all is sent.
func (c *relayConn) flush() bool {
	c.wrote(c.upstream.TryFlush())
	return !c.unflushed
}

// wrote notes what became of a write to the upstream.
func (c *relayConn) wrote(flushed bool, err error) {
	c.unflushed = !flushed && err == nil
	if err != nil && !c.refused {
		c.refused = true
		c.session.upstreamRefused(err)
		c.carrier.Readable, c.carrier.HungUp = true, true // what the upstream has said, and then its end
	}
}

// relayToClient reads nothing from the upstream before the client has taken what it was given.
func (c *relayConn) relayToClient(buf []byte) {
	s := c.session
	c.fromUpstream.held = false
	if c.backlog != nil && !c.deliverBacklog() || !c.carrier.Readable || c.fromUpstream.done ||
		c.hold(&c.fromUpstream, c.client) {
		return
	}
	n, more, err := c.upstream.TryRead(buf)
	c.carrier.WasRead(more, err)
	c.fromUpstream.count(n, &c.fromClient)
	if n > 0 && !c.deliver(buf[:n]) {
		return
	}
	c.awaitUpstream(n)
	if err == nil || errors.Is(err, syscall.EAGAIN) && !c.refused {
		if !c.unflushed {
			c.flush() // TLS may have had something to answer
		}
		return
	}
	s.noteEnding(upstream, err)
	if c.backlog != nil {
		c.carrier.Readable = true // the end is found again when the client has taken the rest
	} else {
		c.fromUpstream.done, c.refused, c.unflushed = true, true, false
		c.AwaitAny(c.carrier)
	}
}

// awaitUpstream says what the loop waits for from the upstream after a read of n bytes: a batch of a large
// result, any byte of anything else, and of a result that the client has no room for.
func (c *relayConn) awaitUpstream(n int) {
	switch {
	case c.backlog != nil, n == 0 && c.carrier.BatchTimedOut():
		c.AwaitAny(c.carrier)
	case n > 0 && c.fromUpstream.streak >= streamAfter:
		c.AwaitBatch(c.carrier, batchSize)
	}
}

// deliver gives p to the client and keeps what it has no room for. It returns false if the client is gone.
func (c *relayConn) deliver(p []byte) bool {
	rest, err := c.session.giveClient(p)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		_ = c.session.clientLost(err)
		return false
	}
	if len(rest) > 0 {
		c.backlog, c.delivered = backlogs.Get().(*[]byte), 0
		*c.backlog = append((*c.backlog)[:0], rest...)
	}
	return true
}

// deliverBacklog reports whether the client has taken all of it.
func (c *relayConn) deliverBacklog() bool {
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
