package tlsorigin

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

const (
	// gatherSize is what one TryRead takes from the socket at most: two full records. Twice as much costs
	// more in cache misses than it saves in system calls.
	gatherSize = 32 << 10
	// maxUnsent bounds what waits for room in the peer's window. TryWrite leaves little more than it was
	// given. The rest are TLS's own messages, and a peer that does not read could cause them without end.
	maxUnsent = 256 << 10
	// unsentSize is what TryWrite leaves at most: 64 KiB, and what TLS puts around the records.
	unsentSize = 4*maxPlaintext + 1<<10
)

//nolint:gochecknoglobals // a pool only helps if all connections share it
var (
	wireBuffers   = sync.Pool{New: func() any { b := make([]byte, 0, gatherSize+maxPlaintext); return &b }}
	unsentBuffers = sync.Pool{New: func() any { b := make([]byte, 0, unsentSize); return &b }}
)

// moreWriter is a carrier that may hold back what it gets, to send it in one piece with the next Write.
type moreWriter interface {
	WriteMore(p []byte) (int, error)
}

// polling is the part of a wire for an event loop, where nothing may wait. Reads take what was gathered. What
// a write finds no room for is kept.
type polling struct {
	on       bool
	primed   bool    // TLS has given all that it held when polling began
	more     bool    // another record follows at once
	gathered []byte  // read from the socket, not yet handed to TLS; empty between calls of TryRead
	end      error   // how the stream ended; nil before
	unsent   *[]byte // pooled, nil when empty
	sent     int     // of unsent
}

// Socket returns what carries the encrypted stream. A caller that takes its descriptor must give the
// connection another carrier of the same stream.
func (c *Conn) Socket() net.Conn { return c.wire.Conn }

// SetNonBlocking makes socket carry the stream. Its Read and Write return EAGAIN where they would have to
// wait. From now on TryRead, TryWrite and TryFlush take the place of Read and Write. Close and CloseWrite do
// not wait either. One goroutine at a time may use these five, because TLS may have to write while it reads.
// No Read or Write may be under way.
func (c *Conn) SetNonBlocking(socket net.Conn) {
	c.wire.setCarrier(socket)
	c.wire.polling = polling{on: true}
}

// SetBlocking makes socket carry the stream, and Read and Write work again. What could not be sent yet goes
// ahead of the next Write.
func (c *Conn) SetBlocking(socket net.Conn) {
	c.wire.setCarrier(socket)
	c.wire.on = false
}

// TryRead reads from the socket once and decrypts all that is complete. What TLS had read ahead before
// SetNonBlocking comes first, by itself. p must have room for 48 KiB, so that nothing is left behind. The
// error is EAGAIN if there is no data, else as from Read. n may be positive with an error, and each further
// call returns the end of the stream again. more says that there is probably more already: the socket filled
// the buffer, or was not read.
func (c *Conn) TryRead(p []byte) (n int, more bool, err error) {
	w := c.wire
	if !w.primed {
		if n, err = c.decrypt(p); !errors.Is(err, syscall.EAGAIN) {
			return n, true, err
		}
	}
	buf := wireBuffers.Get().(*[]byte)
	defer wireBuffers.Put(buf)
	more = w.gather((*buf)[:gatherSize])
	n, err = c.decrypt(p)
	w.gathered = nil // the pool's; after an end TLS does not want what is left
	return n, more, err
}

// decrypt reads what TLS can decrypt of what was gathered. The error is EAGAIN only if that is nothing.
func (c *Conn) decrypt(p []byte) (n int, err error) {
	w := c.wire
	for err == nil && n < len(p) && (!w.primed || len(w.gathered) > 0 || w.end != nil) {
		var m int
		m, err = c.tls.Read(p[n:])
		n += m
		w.primed = w.primed || errors.Is(err, syscall.EAGAIN)
	}
	switch {
	case err != nil && !errors.Is(err, syscall.EAGAIN):
		w.end = err // whether the socket has ended or not
		err = c.failure(err)
	case n == 0:
		err = syscall.EAGAIN
	default:
		err = nil
	}
	if n > 0 {
		c.answered.Store(true)
	}
	return n, err
}

// TryWrite encrypts all of p, at most 64 KiB, and sends what there is room for. It sends in one piece if the
// socket has a method WriteMore(p []byte) (int, error), a Write of what may wait for the next Write. TryWrite
// must not be called again before everything is sent, as flushed says. An error is as from Write.
func (c *Conn) TryWrite(p []byte) (flushed bool, err error) {
	for err == nil && len(p) > 0 {
		n := min(len(p), maxPlaintext)
		c.wire.more = n < len(p)
		_, err = c.tls.Write(p[:n])
		p = p[n:]
	}
	c.wire.more = false
	if err != nil {
		return false, c.failure(err)
	}
	return c.TryFlush()
}

// TryFlush sends what is left and there is room for. TLS writes on its own account, too: the answer to a key
// update while reading, and close_notify.
func (c *Conn) TryFlush() (flushed bool, err error) {
	if c.wire.unsent == nil {
		return true, nil
	}
	err = c.wire.flush()
	if err == nil {
		err = c.wire.finish()
	}
	if err != nil {
		return false, c.failure(err)
	}
	return c.wire.unsent == nil, nil
}

// gather reads from the socket once, and reports whether it filled buf.
func (w *wire) gather(buf []byte) (full bool) {
	if w.end != nil {
		return false
	}
	n, err := w.Conn.Read(buf)
	w.received.Add(int64(n))
	w.gathered = buf[:n]
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		w.end = err
	}
	return n == len(buf)
}

// handOver is Read while polling. It never goes beyond the end of a record, because the buffer inside
// tls.Conn stays as big as the most that it ever got.
func (w *wire) handOver(p []byte) (int, error) {
	if len(w.gathered) == 0 {
		if w.end != nil {
			return 0, w.end
		}
		return 0, syscall.EAGAIN // a temporary net.Error: TLS keeps its state and can be asked again
	}
	n := copy(p, w.gathered[:w.bounds.within(w.gathered)])
	w.bounds.passed(p[:n])
	w.gathered = w.gathered[n:]
	return n, nil
}

// keep is Write while polling. What finds no room now is for flush.
func (w *wire) keep(p []byte) (int, error) {
	var n int
	if w.unsent == nil {
		var err error
		if n, err = w.send(p); err != nil && !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		if n == len(p) {
			return n, nil
		}
	}
	if w.unsent == nil {
		w.unsent = unsentBuffers.Get().(*[]byte)
	}
	if len(*w.unsent) > maxUnsent {
		return n, errors.New("the upstream reads nothing of what TLS has to answer")
	}
	*w.unsent = append(*w.unsent, p[n:]...)
	return len(p), nil
}

// send writes a record.
func (w *wire) send(p []byte) (n int, err error) {
	if socket, ok := w.Conn.(moreWriter); ok && w.more {
		n, err = socket.WriteMore(p)
	} else {
		n, err = w.Conn.Write(p)
	}
	w.announce()
	return n, err
}

// flush sends what there is room for.
func (w *wire) flush() error {
	n, err := w.Conn.Write((*w.unsent)[w.sent:])
	w.announce()
	w.sent += n
	if w.sent == len(*w.unsent) {
		w.release()
	}
	if errors.Is(err, syscall.EAGAIN) {
		err = nil
	}
	return err
}

// release gives the buffer of flush back, unless it has grown.
func (w *wire) release() {
	if w.unsent == nil {
		return
	}
	if cap(*w.unsent) <= unsentSize {
		*w.unsent = (*w.unsent)[:0]
		unsentBuffers.Put(w.unsent)
	}
	w.unsent, w.sent = nil, 0
}

// flushBlocking sends what polling left unsent. It waits for room.
func (w *wire) flushBlocking() error {
	if w.unsent == nil {
		return nil
	}
	defer w.release()
	n, err := w.Conn.Write((*w.unsent)[w.sent:])
	if err == nil && n < len(*w.unsent)-w.sent {
		err = io.ErrShortWrite
	}
	return err
}
