//go:build hostile

package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// impostor is an upstream with a valid certificate that plays, for each login, the script that the login asks for.
type impostor struct {
	addr string
	cert []byte // DER

	scripts sync.Map // application_name → func(*caller)
	records sync.Map // application_name → *record
	started atomic.Int64
}

// record is what one login left at the impostor.
type record struct {
	mu   sync.Mutex
	raw  bytes.Buffer // behind the startup packet
	over chan struct{}
}

func (r *record) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.raw.Bytes())
}

var md5Hash = regexp.MustCompile(`md5[0-9a-f]{32}`)

// secret names what has left: password, hash, token, or nothing.
func (r *record) secret() string {
	raw := r.bytes()
	switch {
	case bytes.Contains(raw, []byte(servers.Password)):
		return "password"
	case md5Hash.Match(raw):
		return "hash"
	case bytes.Contains(raw, []byte("auth=Bearer")):
		return "token"
	}
	return ""
}

// caller is a connection to the impostor whose startup packet was read.
type caller struct {
	net.Conn
	parameters map[string]string
	startup    []byte
	messages   chan message // closed at the end of the stream
	record     *record
}

type message struct {
	kind byte
	body []byte
}

func newImpostor(t *testing.T) *impostor {
	t.Helper()
	pair := shared.lab.ServerCertificate(tlstest.P256)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	im := &impostor{addr: ln.Addr().String(), cert: pair.Leaf.Raw}
	var running sync.WaitGroup
	var open sync.Map
	config := &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			open.Store(conn, true)
			running.Go(func() {
				defer open.Delete(conn)
				defer conn.Close()
				im.serve(conn, config)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		open.Range(func(conn, _ any) bool { return conn.(net.Conn).Close() == nil || true })
		running.Wait()
	})
	return im
}

// script says what happens to logins with this application_name.
func (im *impostor) script(application string, play func(*caller)) {
	im.scripts.Store(application, play)
}

// recordOf waits until the login is over at the impostor. A login that never came left nothing.
func (im *impostor) recordOf(application string) (*record, bool) {
	found, ok := im.records.Load(application)
	if !ok {
		return &record{}, true
	}
	r := found.(*record)
	select {
	case <-r.over:
		return r, true
	case <-time.After(patience):
		return r, false
	}
}

func (im *impostor) serve(raw net.Conn, config *tls.Config) {
	var request [8]byte
	if _, err := io.ReadFull(raw, request[:]); err != nil || binary.BigEndian.Uint32(request[4:]) != 80877103 {
		return
	}
	if _, err := raw.Write([]byte("S")); err != nil {
		return
	}
	conn := tls.Server(raw, config)
	startup, parameters, err := readStartup(conn)
	if err != nil || parameters == nil {
		return // a probe, a spare that was not used, a cancel request
	}
	im.started.Add(1)
	play, found := im.scripts.Load(parameters["application_name"])
	if !found {
		return
	}
	c := &caller{
		Conn: conn, parameters: parameters, startup: startup, messages: make(chan message, 64),
		record: &record{over: make(chan struct{})},
	}
	im.records.Store(parameters["application_name"], c.record)
	var reading sync.WaitGroup
	reading.Go(c.read)
	play.(func(*caller))(c)
	_ = conn.Close()
	reading.Wait()
	close(c.record.over)
}

// readStartup returns nil parameters for what is no StartupMessage.
func readStartup(conn net.Conn) (whole []byte, parameters map[string]string, err error) {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length < 8 || length > 20000 {
		return nil, nil, fmt.Errorf("startup packet of %d bytes", length)
	}
	body := make([]byte, length-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, nil, err
	}
	whole = append(head[:], body...)
	if binary.BigEndian.Uint16(body) != 3 {
		return whole, nil, nil
	}
	parts := strings.Split(string(body[4:]), "\x00")
	parameters = map[string]string{}
	for i := 0; i+1 < len(parts); i += 2 {
		parameters[parts[i]] = parts[i+1]
	}
	return whole, parameters, nil
}

// read records everything and hands out messages. Those of impossible length are the last.
func (c *caller) read() {
	defer close(c.messages)
	var pending []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := c.Conn.Read(buffer)
		c.record.mu.Lock()
		c.record.raw.Write(buffer[:n])
		c.record.mu.Unlock()
		pending = append(pending, buffer[:n]...)
		for len(pending) >= 5 {
			length := int(binary.BigEndian.Uint32(pending[1:]))
			if length < 4 || len(pending) < length+1 {
				break
			}
			select {
			case c.messages <- message{pending[0], bytes.Clone(pending[5 : length+1])}:
			default: // nobody listens any more; it is recorded
			}
			pending = pending[length+1:]
		}
		if err != nil {
			return
		}
	}
}

// send writes as much as the other side takes; that it has left shows when something is read.
func (c *caller) send(messages ...[]byte) {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, _ = c.Write(bytes.Join(messages, nil))
}

// await returns the next message, or a zero one when the stream ends or the time is over.
func (c *caller) await(limit time.Duration) message {
	select {
	case m := <-c.messages:
		return m
	case <-time.After(limit):
		return message{}
	}
}

// linger waits for the other side to leave.
func (c *caller) linger() {
	end := time.After(patience)
	for {
		select {
		case _, open := <-c.messages:
			if !open {
				return
			}
		case <-end:
			return
		}
	}
}

// serveQueries answers each query with 1, until the client leaves.
func (c *caller) serveQueries() {
	for {
		m := c.await(patience)
		switch m.kind {
		case 'Q':
			c.send(answer())
		case 'X', 0:
			return
		}
	}
}
