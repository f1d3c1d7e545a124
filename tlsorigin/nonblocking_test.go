package tlsorigin

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sluggish is a socket that never waits: it gives what has arrived, at most chunk bytes at a time, and takes
// as little, with an EAGAIN after each.
type sluggish struct {
	net.Conn
	chunk   int
	arrived chan struct{} // has room for one

	mu    sync.Mutex
	in    []byte
	end   error
	tired bool
}

func newSluggish(conn net.Conn, chunk int) *sluggish {
	s := &sluggish{Conn: conn, chunk: chunk, arrived: make(chan struct{}, 1)}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			s.mu.Lock()
			s.in, s.end = append(s.in, buf[:n]...), err
			s.mu.Unlock()
			select {
			case s.arrived <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *sluggish) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		return 0, syscall.EAGAIN
	}
	n := copy(p[:min(len(p), s.chunk)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *sluggish) Write(p []byte) (int, error) {
	if s.tired = !s.tired; s.tired {
		return 0, syscall.EAGAIN
	}
	n, err := s.Conn.Write(p[:min(len(p), s.chunk)])
	if err == nil && n < len(p) {
		err = syscall.EAGAIN
	}
	return n, err
}

func (s *sluggish) SyscallConn() (syscall.RawConn, error) { return descriptor(s.Conn), nil }

func (s *sluggish) CloseWrite() error { return s.Conn.(*net.TCPConn).CloseWrite() }

func (s *sluggish) WriteMore(p []byte) (int, error) { return s.Write(p) }

// What does not wait knows no deadlines.
func (s *sluggish) SetDeadline(time.Time) error      { return nil }
func (s *sluggish) SetReadDeadline(time.Time) error  { return nil }
func (s *sluggish) SetWriteDeadline(time.Time) error { return nil }

// relay writes data and the end of the stream, and reads all that comes, as an event loop does.
func (s *sluggish) relay(conn *Conn, data []byte) (got []byte, err error) {
	buf := make([]byte, gatherSize+maxPlaintext)
	flushed, ended := true, false
	for {
		switch {
		case !flushed:
			flushed, err = conn.TryFlush()
		case len(data) > 0:
			n := min(len(data), 4*maxPlaintext)
			flushed, err = conn.TryWrite(data[:n])
			data = data[n:]
		case !ended:
			ended, flushed, err = true, false, conn.CloseWrite()
		}
		if err != nil {
			return got, err
		}
		n, _, err := conn.TryRead(buf)
		got = append(got, buf[:n]...)
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			return got, err
		}
		if n == 0 && flushed && ended {
			s.await()
		}
	}
}

// readAll reads by TryRead until the end.
func (s *sluggish) readAll(conn *Conn) (got []byte, err error) {
	buf := make([]byte, gatherSize+maxPlaintext)
	for {
		n, _, err := conn.TryRead(buf)
		got = append(got, buf[:n]...)
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			return got, err
		}
		if n == 0 {
			s.await()
		}
	}
}

// await waits until there is something to read.
func (s *sluggish) await() {
	s.mu.Lock()
	drained := len(s.in) == 0 && s.end == nil
	s.mu.Unlock()
	if drained {
		<-s.arrived
	}
}

func TestNonBlocking(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // 320 KiB
	for _, chunk := range []int{1, 7, 1000, 20000, 1 << 20} {
		data := payload[:min(len(payload), 3000*chunk)]
		conn := dialPeer(t, func(raw net.Conn, server *tls.Conn) {
			_, _ = io.Copy(server, server)
			if n, err := raw.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("chunk %d: TCP goes on behind close_notify: %d bytes, %v", chunk, n, err)
			}
			_ = server.Close()
		})
		socket := newSluggish(conn.Socket(), chunk)
		conn.SetNonBlocking(socket)
		got, err := socket.relay(conn, data)
		if !errors.Is(err, io.EOF) || !bytes.Equal(got, data) {
			t.Errorf("chunk %d: got %d bytes of %d, %v", chunk, len(got), len(data), err)
		}
	}
}

// roomy is a socket that has room for everything, and counts what may be held back.
type roomy struct {
	net.Conn
	held int
}

func (r *roomy) WriteMore(p []byte) (int, error) {
	r.held++
	return r.Conn.Write(p)
}

// Of several records all but the last are held back, so that they go out in one piece.
func TestRecordsAreSentTogether(t *testing.T) {
	conn := dialPeer(t, echo)
	socket := &roomy{Conn: conn.Socket()}
	conn.SetNonBlocking(socket)
	for _, row := range []struct{ size, held int }{{1, 0}, {maxPlaintext, 0}, {maxPlaintext + 1, 1}, {4 * maxPlaintext, 3}} {
		socket.held = 0
		if flushed, err := conn.TryWrite(make([]byte, row.size)); !flushed || err != nil || socket.held != row.held {
			t.Errorf("%d bytes: %d records were held back, want %d (%t, %v)", row.size, socket.held, row.held, flushed, err)
		}
	}
}

// What an upstream that vanishes is called does not depend on who reads.
func TestNonBlockingLoss(t *testing.T) {
	tests := map[string]struct {
		last func(raw net.Conn, server *tls.Conn)
		want string
	}{
		"without close_notify": {func(net.Conn, *tls.Conn) {}, "EOF"},
		"inside a record":      {func(raw net.Conn, _ *tls.Conn) { _, _ = io.WriteString(raw, "\x17\x03\x03\x00\x40abc") }, "closed the connection"},
		"not TLS":              {func(raw net.Conn, _ *tls.Conn) { _, _ = io.WriteString(raw, "Epicfail") }, "broke the TLS protocol"},
	}
	for name, tt := range tests {
		conn := dialPeer(t, func(raw net.Conn, server *tls.Conn) {
			_, _ = io.WriteString(server, "hello")
			tt.last(raw, server)
			_ = raw.Close()
		})
		socket := newSluggish(conn.Socket(), 3)
		conn.SetNonBlocking(socket)
		got, err := socket.readAll(conn)
		if string(got) != "hello" || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %q, %v, want an error that says %q", name, got, err, tt.want)
		}
	}
}

// A connection that was relayed by an event loop can be given back.
func TestBlockingAgain(t *testing.T) {
	conn := dialPeer(t, echo)
	socket := conn.Socket()
	stuck := &sluggish{Conn: socket, tired: false, chunk: 0}
	conn.SetNonBlocking(stuck)
	if flushed, err := conn.TryWrite([]byte("held ")); flushed || err != nil {
		t.Fatalf("TryWrite without room: %t, %v", flushed, err)
	}
	conn.SetBlocking(socket)
	if _, err := io.WriteString(conn, "back"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("held back"))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "held back" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A peer that makes TLS answer and reads nothing does not fill the memory.
func TestUnsentIsBounded(t *testing.T) {
	w := &wire{Conn: &sluggish{chunk: 0}, polling: polling{on: true}}
	total := 0
	for range 10000 {
		n, err := w.Write(make([]byte, 100))
		if total += n; err != nil {
			break
		}
	}
	if total > maxUnsent+200 {
		t.Errorf("%d bytes were kept", total)
	}
	w.release()
	for range 10 {
		if b := unsentBuffers.Get().(*[]byte); cap(*b) > unsentSize {
			t.Errorf("the pool keeps %d bytes", cap(*b))
		}
	}
}

// What TryWrite leaves at most fits into a pooled buffer.
func TestUnsentFits(t *testing.T) {
	conn := dialPeer(t, echo)
	conn.SetNonBlocking(&sluggish{Conn: conn.Socket(), chunk: 0})
	if flushed, err := conn.TryWrite(make([]byte, 4*maxPlaintext)); flushed || err != nil || cap(*conn.wire.unsent) != unsentSize {
		t.Errorf("%d bytes in a buffer of %d (%t, %v)", len(*conn.wire.unsent), cap(*conn.wire.unsent), flushed, err)
	}
}

// What TLS had read ahead while reads waited is all there afterwards, although no byte of it comes from the
// socket any more.
func TestReadAheadBeforeNonBlocking(t *testing.T) {
	sent := make(chan struct{})
	conn := dialPeer(t, func(_ net.Conn, server *tls.Conn) {
		for _, record := range []string{"a", "b", "c", "d"} {
			_, _ = io.WriteString(server, record)
		}
		close(sent)
	})
	<-sent
	buf := make([]byte, gatherSize+maxPlaintext)
	if n, err := conn.Read(buf); n != 1 || err != nil {
		t.Fatalf("the first record: %d bytes, %v", n, err)
	}
	socket := newSluggish(conn.Socket(), 1<<20)
	conn.SetNonBlocking(socket)
	var got []byte
	for more := true; more; {
		var n int
		var err error
		if n, more, err = conn.TryRead(buf); err != nil && !errors.Is(err, syscall.EAGAIN) {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	if string(got) != "bcd" {
		t.Errorf("got %q", got)
	}
}

// A stream that TLS has ended is at its end whenever it is read, whether TCP has ended or not.
func TestNonBlockingEndStays(t *testing.T) {
	conn := dialPeer(t, func(_ net.Conn, server *tls.Conn) {
		_, _ = io.WriteString(server, "last")
		_ = server.CloseWrite()
	})
	socket := newSluggish(conn.Socket(), 1<<20)
	conn.SetNonBlocking(socket)
	if got, err := socket.readAll(conn); string(got) != "last" || !errors.Is(err, io.EOF) {
		t.Fatalf("got %q, %v", got, err)
	}
	if n, _, err := conn.TryRead(make([]byte, gatherSize+maxPlaintext)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the second time: %d bytes, %v", n, err)
	}
}
