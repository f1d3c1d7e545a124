package e2e

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// middlebox is a TCP relay in front of a real server that looks at the ClientHello behind the SSLRequest. It counts what
// the client sent on each connection, in bytes and in flights, which is how often the client had its turn.
type middlebox struct {
	addr, upstream string
	t              *testing.T

	mu      sync.Mutex
	limit   int                 // hellos of more bytes are refused; 0: none is
	refuse  func(*net.TCPConn)  // what happens to those
	counted map[string]*traffic // by the client's address
}

// traffic is what a client has sent.
type traffic struct {
	mu      sync.Mutex
	bytes   int
	flights int
	server  bool // the server spoke last
}

func startMiddlebox(t *testing.T, upstream string) *middlebox {
	t.Helper()
	m := &middlebox{upstream: upstream, t: t, counted: map[string]*traffic{}}
	m.addr = serveTCP(t, m.serve, func() {})
	return m
}

// above makes the box refuse hellos of more than limit bytes from now on; nil refuses none.
func (m *middlebox) above(limit int, refuse func(*net.TCPConn)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.refuse = limit, refuse
}

// What a box does with a hello that it does not like.
func boxSwallows(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }
func boxCloses(conn *net.TCPConn)   {}
func boxResets(conn *net.TCPConn)   { _ = conn.SetLinger(0) }

func (m *middlebox) serve(client *net.TCPConn) {
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(time.Minute)) // a test that goes wrong must not hang
	server, err := net.Dial("tcp", m.upstream)
	if err != nil {
		m.t.Errorf("middlebox: %v", err)
		return
	}
	defer server.Close()
	count := new(traffic)
	m.mu.Lock()
	m.counted[client.RemoteAddr().String()] = count
	limit, refuse := m.limit, m.refuse
	m.mu.Unlock()
	var relaying sync.WaitGroup
	relaying.Go(func() {
		_, _ = io.Copy(client, &tally{server, count.fromServer})
		_ = client.CloseWrite()
	})
	in := &tally{client, count.fromClient}
	if refuse != nil && !passHello(in, server, limit) {
		refuse(client)
		_ = client.Close()
	} else {
		_, _ = io.Copy(server, in)
	}
	_ = server.Close()
	relaying.Wait()
}

// passHello lets SSLRequest through, and what follows unless it is a TLS record of more than limit bytes.
func passHello(client io.Reader, server io.Writer, limit int) bool {
	if _, err := io.CopyN(server, client, 8); err != nil {
		return true
	}
	header := make([]byte, 5)
	if _, err := io.ReadFull(client, header); err != nil {
		return true
	}
	length := int(binary.BigEndian.Uint16(header[3:]))
	if header[0] == 22 && len(header)+length > limit {
		_, _ = io.CopyN(io.Discard, client, int64(length))
		return false
	}
	_, _ = server.Write(header)
	return true
}

// tally tells what is read through it.
type tally struct {
	io.Reader
	read func(n int)
}

func (c *tally) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.read(n)
	}
	return n, err
}

func (c *traffic) fromServer(int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = true
}

func (c *traffic) fromClient(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server || c.bytes == 0 {
		c.flights++
	}
	c.bytes += n
	c.server = false
}

// sent returns what the client at addr has sent by now.
func (m *middlebox) sent(addr net.Addr) (bytes, flights int) {
	m.mu.Lock()
	count := m.counted[addr.String()]
	m.mu.Unlock()
	if count == nil {
		return 0, 0
	}
	count.mu.Lock()
	defer count.mu.Unlock()
	return count.bytes, count.flights
}

// flights returns how many there were on all connections.
func (m *middlebox) flights() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, count := range m.counted {
		count.mu.Lock()
		n += count.flights
		count.mu.Unlock()
	}
	return n
}

// connections returns how many there were.
func (m *middlebox) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.counted)
}
