//go:build hostile

package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// client is a raw client of pgorigin.
type client struct {
	net.Conn
	t *testing.T
}

func dialClient(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{conn, t}
}

func (c *client) send(messages ...[]byte) {
	_, _ = c.Write(bytes.Join(messages, nil)) // that it was thrown out shows when it reads
}

// read returns the next message, or a zero one at the end of the stream.
func (c *client) read() message {
	var head [5]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return message{}
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > 1<<20 {
		c.t.Errorf("the client got a message %q of length %d", head[0], length)
		return message{}
	}
	body := make([]byte, length-4)
	if _, err := io.ReadFull(c, body); err != nil {
		return message{}
	}
	return message{head[0], body}
}

// ends reads to the end of the stream and says whether it came in time.
func (c *client) ends() bool {
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestHostileClients: a client wants to get something to the server that a login has no place for, to hit a pooler whose
// own login is weaker, such as pgbouncer's of 2026. Nothing may arrive but startup packet, whole responses and Terminate.
func TestHostileClients(t *testing.T) {
	startup := func(name string) []byte {
		return startupPacket("user", servers.User, "database", servers.Database, "application_name", name)
	}
	response := initialResponse("SCRAM-SHA-256")
	const patient = "two responses" // the second may wait for a second request
	for _, row := range []struct {
		name string
		send func(name string) [][]byte // in answer to the first request
	}{
		{"second startup packet", func(name string) [][]byte { return [][]byte{startup(name)} }},
		{"second startup packet behind a response", func(name string) [][]byte { return [][]byte{response, startup(name)} }},
		{"query", func(string) [][]byte { return [][]byte{frame('Q', "SELECT 'stolen'\x00")} }},
		{"query behind a response", func(string) [][]byte { return [][]byte{response, frame('Q', "SELECT 'stolen'\x00")} }},
		{patient, func(string) [][]byte { return [][]byte{response, response} }},
		{"parse", func(string) [][]byte { return [][]byte{frame('P', "\x00SELECT 1\x00\x00\x00")} }},
		{"copy data", func(string) [][]byte { return [][]byte{frame('d', "data")} }},
		{"response of length 0", func(string) [][]byte { return [][]byte{framed('p', 0, "")} }},
		{"response of length 3", func(string) [][]byte { return [][]byte{framed('p', 3, "")} }},
		{"response of 1 MiB", func(string) [][]byte { return [][]byte{framed('p', 1<<20, string(make([]byte, 1<<20-4)))} }},
		{"response of 2 GiB", func(string) [][]byte { return [][]byte{framed('p', 1<<31-1, "begins")} }},
		{"response of 4 GiB", func(string) [][]byte { return [][]byte{framed('p', 1<<32-1, "begins")} }},
		{"mechanism that was not offered", func(string) [][]byte { return [][]byte{initialResponse("SCRAM-SHA-256-PLUS")} }},
		{"mechanism that nobody knows", func(string) [][]byte { return [][]byte{initialResponse("X-TELL-ME")} }},
		{"junk", func(string) [][]byte { return [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			im := newImpostor(t)
			for _, mode := range []string{"strip", "bridge"} {
				origin := startOrigin(t, im.addr, "PGORIGIN_AUTH_CHANNEL_BINDING="+mode)
				im.script(mode, func(c *caller) {
					c.send(askSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"))
					if row.name == patient {
						time.Sleep(time.Second) // the second has had its chance
						return
					}
					if c.await(patience).kind == 'p' {
						c.send(saslFirst("r=rOprNGfwEbeRWgbNEkqOserver,s=c2FsdA==,i=4096")) // asks for what comes next
					}
					c.linger()
				})
				c := dialClient(t, origin.Addr)
				c.send(startup(mode))
				if m := c.read(); m.kind != 'R' {
					t.Fatalf("%s: the first message is %q %q", mode, m.kind, m.body)
				}
				c.send(row.send(mode)...)
				if !c.ends() {
					t.Errorf("%s: the session goes on", mode)
				}
				_ = c.Close()
				r, over := im.recordOf(mode)
				if problem := onlyWhole(r.bytes(), response, mode); problem != "" || !over {
					t.Errorf("%s: the upstream got %q; over: %t", mode, problem, over)
				}
			}
		})
	}
}

// onlyWhole says what has arrived beside Terminate and what may: under strip one whole response of the client, under
// bridge one of pgorigin's own.
func onlyWhole(raw, response []byte, mode string) string {
	raw = bytes.TrimSuffix(raw, frame('X', ""))
	switch {
	case len(raw) == 0, mode == "strip" && bytes.Equal(raw, response):
		return ""
	case mode == "bridge" && bytes.HasPrefix(raw, []byte("p")) && bytes.Contains(raw, []byte("SCRAM-SHA-256-PLUS\x00")) &&
		int(binary.BigEndian.Uint32(raw[1:])) == len(raw)-1:
		return ""
	}
	return fmt.Sprintf("%.200q", raw)
}

// TestPartialResponse: half a message makes pgbouncer end logins with "client sent partial pkt in startup phase". So the
// half may not arrive before the whole.
func TestPartialResponse(t *testing.T) {
	t.Parallel()
	im := newImpostor(t)
	origin := startOrigin(t, im.addr)
	type arrival struct {
		early int
		kind  byte
	}
	seen := make(chan arrival, 1)
	halfSent, wholeSent := make(chan struct{}), make(chan struct{})
	im.script("partial", func(c *caller) {
		c.send(askSASL("SCRAM-SHA-256"))
		<-halfSent
		m := c.await(500 * time.Millisecond)
		early := len(c.record.bytes())
		close(wholeSent)
		if m.kind == 0 {
			m = c.await(patience)
		}
		seen <- arrival{early, m.kind}
	})
	c := dialClient(t, origin.Addr)
	c.send(startupPacket("user", servers.User, "application_name", "partial"))
	c.read()
	response := initialResponse("SCRAM-SHA-256")
	c.send(response[:9])
	close(halfSent)
	<-wholeSent
	c.send(response[9:])
	select {
	case got := <-seen:
		if got.early != 0 || got.kind != 'p' {
			t.Errorf("%d bytes arrived before the message was whole; then %q", got.early, got.kind)
		}
	case <-time.After(patience):
		t.Error("the response has not arrived")
	}
}

// TestPipelinedBehindStartup: what a client sends ahead of its login may not arrive before the login is over, and must
// arrive then.
func TestPipelinedBehindStartup(t *testing.T) {
	t.Parallel()
	im := newImpostor(t)
	for _, spares := range []string{"0", "2"} {
		origin := startOrigin(t, im.addr, "PGORIGIN_WARM_SPARES="+spares)
		early := make(chan int, 1)
		im.script("pipelined"+spares, func(c *caller) {
			time.Sleep(300 * time.Millisecond) // the bytes have had their chance
			early <- len(c.record.bytes())
			welcome(c)
		})
		c := dialClient(t, origin.Addr)
		startup := startupPacket("user", servers.User, "application_name", "pipelined"+spares)
		c.send(startup, frame('Q', "SELECT 1\x00"), frame('X', ""))
		var kinds []byte
		for m := c.read(); m.kind != 0; m = c.read() {
			kinds = append(kinds, m.kind)
		}
		if !bytes.HasSuffix(kinds, []byte("ZTDCZ")) {
			t.Errorf("%s spares: the client got %q, want the answer to its query", spares, kinds)
		}
		select {
		case n := <-early:
			if n != 0 {
				t.Errorf("%s spares: %d bytes arrived before AuthenticationOk", spares, n)
			}
		default:
			t.Errorf("%s spares: the login did not arrive", spares)
		}
	}
}
