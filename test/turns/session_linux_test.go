package turns

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
)

// upstreamConn is the connection to PostgreSQL. It knows how much pgwire has sent, and how much of what came
// pgwire has dealt with: whoever reads again has.
type upstreamConn struct {
	*pgtest.Upstream  // without Socket: goroutines relay, whose reads and writes this sees
	sent, taken, read atomic.Uint64
}

// Socket returns nil.
func (c *upstreamConn) Socket() net.Conn { return nil }

func (c *upstreamConn) Read(p []byte) (int, error) {
	c.taken.Store(c.read.Load())
	n, err := c.Upstream.Read(p)
	c.read.Add(uint64(n))
	return n, err
}

func (c *upstreamConn) Write(p []byte) (int, error) {
	n, err := c.Upstream.Write(p)
	c.sent.Add(uint64(n))
	return n, err
}

// quiet reports whether nothing is on its way in either direction, when pgwire has been given total bytes to
// send.
func (c *upstreamConn) quiet(total uint64) bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	var info *unix.TCPInfo
	if controlErr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); controlErr != nil || err != nil {
		return false
	}
	unread, unsent, err := queues(c.RemoteAddr().(*net.TCPAddr), c.LocalAddr().(*net.TCPAddr))
	return err == nil && c.sent.Load() == total && info.Notsent_bytes == 0 && info.Unacked == 0 &&
		unread == 0 && unsent == 0 && info.Bytes_received == c.taken.Load()
}

// queues returns what the socket at local has in its queues, by /proc/net/tcp.
func queues(local, remote *net.TCPAddr) (unread, unsent uint64, err error) {
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return 0, 0, fmt.Errorf("read sockets: %w", err)
	}
	key := " " + kernelAddr(local) + " " + kernelAddr(remote) + " "
	for line := range strings.Lines(string(table)) {
		if !strings.Contains(line, key) {
			continue
		}
		tx, rx, _ := strings.Cut(strings.Fields(line)[4], ":")
		unsent, errTx := strconv.ParseUint(tx, 16, 64)
		unread, errRx := strconv.ParseUint(rx, 16, 64)
		return unread, unsent, errors.Join(errTx, errRx)
	}
	return 0, 0, fmt.Errorf("no socket %s", key)
}

func kernelAddr(a *net.TCPAddr) string {
	ip := a.IP.To4()
	return strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})) + fmt.Sprintf(":%04X", a.Port)
}

// session is a client of its own pgwire.Server.
type session struct {
	t        *testing.T
	ctx      context.Context
	random   *rand.Rand
	server   *pgwire.Server
	client   net.Conn
	upstream *upstreamConn
	pid      uint32
	base     uint64 // bytes of the login
	log      bytes.Buffer

	said     uint64 // bytes
	whole    bool   // the last message was said to its end
	copying  bool   // it may be, so only a CopyFail can follow
	unsynced bool   // it was told of an error and of no ReadyForQuery since
	answers  chan byte
}

// newSession logs in through a new server.
func newSession(ctx context.Context, t *testing.T, random *rand.Rand) *session {
	t.Helper()
	s := &session{t: t, ctx: ctx, random: random, whole: true, answers: make(chan byte, 1<<16)}
	dial := func(ctx context.Context, _ net.Addr) (pgwire.Upstream, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", postgres.Addr)
		if err != nil {
			return nil, err
		}
		s.upstream = &upstreamConn{Upstream: pgtest.NewUpstream(conn)}
		return s.upstream, nil
	}
	s.server = &pgwire.Server{ChannelBinding: pgwire.PassChannelBinding, Dial: dial}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(ln) }()
	t.Cleanup(func() {
		_ = s.server.Close()
		<-served
	})
	conn, err := pgconn.Connect(ctx, servers.DSN(ln.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hijacked.Conn.Close() })
	s.client, s.pid = hijacked.Conn, hijacked.PID
	s.base = s.upstream.sent.Load()
	go s.listen()
	return s
}

// listen notes the kinds of answers; ReadyForQuery as I, T and E in lower case, the end as 0, and FATAL as !.
func (s *session) listen() {
	defer close(s.answers)
	r := bufio.NewReader(s.client)
	for {
		var head [5]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		kind := head[0]
		switch {
		case kind == 'Z':
			kind = map[byte]byte{'I': 'i', 'T': 'b', 'E': 'e'}[body[0]]
		case kind == 'E' && bytes.HasPrefix(body, []byte("SFATAL\x00")):
			kind = '!'
			if bytes.Contains(body, []byte("\x00C57P01\x00")) {
				kind = '.'
			}
		}
		s.answers <- kind
	}
}

// next returns the next answer, 0 at the end.
func (s *session) next() byte {
	select {
	case kind := <-s.answers:
		fmt.Fprintf(&s.log, " u:%c", max(kind, '0'))
		switch kind {
		case 'E':
			s.unsynced = true
		case 'i', 'b', 'e':
			s.unsynced = false
		}
		return kind
	case <-s.ctx.Done():
		s.t.Fatalf("no answer: %v; %s", context.Cause(s.ctx), s.log.String())
		return 0
	}
}

// hear takes the answers that are there.
func (s *session) hear() {
	for len(s.answers) > 0 {
		s.next()
	}
}

func (s *session) say(p []byte) {
	s.t.Helper()
	s.said += uint64(len(p))
	if _, err := s.client.Write(p); err != nil {
		s.t.Fatalf("say %q: %v; %s", p, err, s.log.String())
	}
}

// rest waits until PostgreSQL waits for its client, and nothing is on its way to it or from it.
func (s *session) rest() activity {
	s.t.Helper()
	for {
		if s.upstream.quiet(s.base + s.said) {
			a, err := truth.look(s.ctx, s.pid)
			if err != nil {
				s.t.Fatalf("%v; %s", err, s.log.String())
			}
			if a.waits && s.upstream.quiet(s.base+s.said) {
				s.settle()
				return a
			}
		}
		select {
		case <-time.After(time.Millisecond):
		case <-s.ctx.Done():
			s.t.Fatalf("does not come to rest: %v; %s", context.Cause(s.ctx), s.log.String())
		}
	}
}

// settle waits until listen has noted all that the client was given.
func (s *session) settle() {
	for {
		s.hear()
		n := unreadBy(s.client)
		if n == 0 {
			break
		}
		<-time.After(100 * time.Microsecond)
	}
	<-time.After(500 * time.Microsecond) // only what the test says is less exact if it was too short
	s.hear()
}

func unreadBy(conn net.Conn) int {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return n
}

// check compares the two answers. It ends the session.
func (s *session) check() (idle bool) {
	s.t.Helper()
	a := s.rest()
	a.idle = a.idle && s.whole && !s.unsynced
	over, cancel := context.WithCancel(s.ctx)
	cancel()
	_ = s.server.Shutdown(over) // ends it at once if it is idle
	fmt.Fprint(&s.log, " |")
	if a.idle {
		if kind := s.next(); kind != '.' {
			s.t.Errorf("PostgreSQL says %q, but the client is told %c: %s", a.text, kind, s.log.String())
		}
		return true
	}
	s.finish(a)
	return false
}

// finish ends what is under way: only behind that may the client be sent away.
func (s *session) finish(a activity) {
	s.t.Helper()
	if !s.whole {
		return // of half a message nobody knows what comes of it
	}
	var end []byte
	if s.copying {
		end = message('f', "over\x00")
	}
	s.say(append(end, message('S', "")...))
	over := false
	for {
		switch kind := s.next(); kind {
		case 'i':
			over = true
		case 'b', 'e':
			s.say(message('Q', "ROLLBACK\x00"))
		case '.', '!', 0:
			if !over || kind != '.' {
				s.t.Errorf("PostgreSQL says %q, but the client is sent away: %s", a.text, s.log.String())
			}
			return
		}
	}
}
