package listentls

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// eachWay runs a test with SSLRequest and with direct TLS, in TLS 1.2 and 1.3.
func eachWay(t *testing.T, play func(t *testing.T, r *rig, client *pgtest.Peer)) {
	t.Helper()
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		for way, connect := range map[string]func(*rig, *tls.Config) *pgtest.Peer{
			"SSLRequest": (*rig).secure, "direct": (*rig).direct,
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, nil)
				config := r.config()
				config.MinVersion, config.MaxVersion = version, version
				play(t, r, connect(r, config))
			})
		}
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	query, large := pgtest.Message('Q', "SELECT 1\x00"), pgtest.Message('D', strings.Repeat("x", 300<<10))
	eachWay(t, func(t *testing.T, r *rig, client *pgtest.Peer) {
		upstream := r.login(client)
		client.Send(query)
		upstream.Expect(query)
		go upstream.Send(large, pgtest.ReadyForQuery('I'))
		client.Expect(large, pgtest.ReadyForQuery('I'))
		go client.Send(large)
		upstream.Expect(large)
		client.Send(pgtest.Terminate())
		upstream.Expect(pgtest.Terminate())
		_ = upstream.Close()
		client.ExpectEOF() // close_notify: without it the end would be an error
		e := r.expectEnd(pgwire.ReasonOK)
		if !strings.HasPrefix(e.TLS, "TLS 1.") || e.RefusedEncryption {
			t.Errorf("%+v", e.SessionInfo)
		}
	})
}

// TestEnds: who ends which direction, and what the other one still delivers.
func TestEnds(t *testing.T) {
	t.Parallel()
	answer := pgtest.Message('D', "answer, given after the end")
	for name, play := range map[string]func(r *rig, client, upstream *pgtest.Peer){
		"the client half-closes": func(r *rig, client, upstream *pgtest.Peer) {
			if err := client.Conn.(*tls.Conn).CloseWrite(); err != nil {
				r.t.Error(err)
			}
			upstream.ExpectEOF()
			upstream.Send(answer)
			_ = upstream.Close()
			client.Expect(answer)
			client.ExpectEOF()
			r.expectEnd(pgwire.ReasonClientGone)
		},
		"the client leaves without close_notify": func(r *rig, client, upstream *pgtest.Peer) {
			_ = client.Conn.(*tls.Conn).NetConn().Close()
			upstream.ExpectEOF()
			_ = upstream.Close()
			r.expectEnd(pgwire.ReasonClientGone)
		},
		"the upstream leaves": func(r *rig, client, upstream *pgtest.Peer) {
			_ = upstream.Close()
			client.ExpectError("08006")
			client.ExpectEOF()
			r.expectEnd(pgwire.ReasonUpstreamGone)
		},
		"pgorigin ends it": func(r *rig, client, _ *pgtest.Peer) {
			go func() { _ = r.server.Close() }()
			client.ExpectError("57P01")
			client.ExpectEOF()
			r.expectEnd(pgwire.ReasonDraining)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWay(t, func(_ *testing.T, r *rig, client *pgtest.Peer) { play(r, client, r.login(client)) })
		})
	}
}

// TestPlaintextBesideTLS: a client without TLS is served as before, and one on a Unix socket gets none.
func TestPlaintextBesideTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	client := r.dial()
	client.Send(pgtest.GSSENCRequest())
	client.Expect([]byte("N"))
	r.login(client)

	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(listener) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	local := pgtest.NewPeer(t, conn)
	local.Send(pgtest.SSLRequest())
	local.Expect([]byte("N"))
	_ = local.Close()
	if e := r.expectEnd(pgwire.ReasonClientGone); !e.RefusedEncryption {
		t.Errorf("%+v", e)
	}
	_ = r.server.Close()
	<-served
}

func TestCancelInsideTLS(t *testing.T) {
	t.Parallel()
	cancel := pgtest.CancelRequest("pid4key4")
	eachWay(t, func(_ *testing.T, r *rig, client *pgtest.Peer) {
		r.login(client)
		other := r.secure(r.config())
		other.Send(cancel)
		upstream := <-r.upstreams
		upstream.Expect(cancel)
		_ = upstream.Close()
		other.ExpectEOF()
		r.expectEnd(pgwire.ReasonOK)
	})
}

// TestClientLeavesWhilePgoriginDials: nobody reads from the client then.
func TestClientLeavesWhilePgoriginDials(t *testing.T) {
	t.Parallel()
	eachWay(t, func(_ *testing.T, r *rig, client *pgtest.Peer) {
		client.Send(pgtest.Startup("user", "app"))
		upstream := <-r.upstreams
		client.Send(pgtest.Terminate())
		_ = client.Close()
		upstream.ExpectClosed()
		r.expectEnd(pgwire.ReasonClientGone)
	})
}

func TestResumption(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	config := r.config()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i, want := range []bool{false, true, true} {
		client := r.secure(config)
		r.login(client)
		if state := client.Conn.(*tls.Conn).ConnectionState(); state.DidResume != want {
			t.Errorf("connection %d: resumed is %v", i, state.DidResume)
		}
	}
}

// narrow is a connection that has room for some bytes. Then its writes meet their deadline.
type narrow struct {
	net.Conn
	room int // -1 is without end
}

func (c *narrow) Write(p []byte) (int, error) {
	if c.room < 0 {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:min(c.room, len(p))])
	c.room -= n
	if n < len(p) {
		err = errors.Join(err, os.ErrDeadlineExceeded)
	}
	return n, err
}

// secureNarrow returns both ends of a TLS connection.
func secureNarrow(t *testing.T) (client *tls.Conn, server net.Conn, below *narrow) {
	t.Helper()
	r := newRig(t, nil)
	near, far := pgtest.TCPPair(t)
	below = &narrow{Conn: near, room: -1}
	type made struct {
		conn net.Conn
		err  error
	}
	done := make(chan made, 1)
	go func() {
		conn, err := r.server.StartTLS(below, false)
		done <- made{conn, err}
	}()
	client = tls.Client(far, r.config())
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	secured := <-done
	if secured.err != nil {
		t.Fatal(secured.err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, secured.conn, below
}

// TestInterruptedWrite: a deadline in a record, or between the records of one write, does not break the connection:
// the client still gets the rest, and why its session ends.
func TestInterruptedWrite(t *testing.T) {
	t.Parallel()
	want := strings.Repeat("x", relayed) + "why it ends"
	for _, room := range []int{0, 1, 5, 20, 1300, 20000} {
		client, server, below := secureNarrow(t)
		below.room = room
		if n, err := io.WriteString(server, want[:relayed]); n != relayed || err != nil {
			t.Errorf("after %d bytes: %d, %v", room, n, err)
		}
		below.room = -1
		if _, err := io.WriteString(server, want[relayed:]); err != nil {
			t.Errorf("after %d bytes: %v", room, err)
		}
		_ = server.Close()
		if got, err := io.ReadAll(client); string(got) != want || err != nil {
			t.Errorf("after %d bytes: %d bytes, %v", room, len(got), err)
		}
	}
}

// relayed is the size of the writes of a relay: several records.
const relayed = 32 << 10

// TestNothingFollowsALostRecord: a client that has read nothing until the end of its session gets a part of the
// stream, as in plaintext. It must not take the end for a forgery.
func TestNothingFollowsALostRecord(t *testing.T) {
	t.Parallel()
	for _, room := range []int{0, 5, 1300, 20000} {
		for writes := range 6 { // five are more than wire keeps
			client, server, below := secureNarrow(t)
			below.room = room
			for range writes {
				_, _ = server.Write(make([]byte, relayed))
			}
			below.room = 4 // at the final deadline, there is room for a part of one thing or another
			_, _ = io.WriteString(server, "why it ends")
			below.room = 40
			_ = server.(*Conn).CloseWrite()
			below.room = -1
			_ = server.Close()
			if _, err := io.Copy(io.Discard, client); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d writes, %d bytes: %v", writes, room, err)
			}
		}
	}
}

// TestCloseDoesNotWait: close_notify finds no room at a client that reads nothing. tls.Conn alone would wait for
// five seconds.
func TestCloseDoesNotWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	client := r.secure(r.config())
	upstream := r.login(client)
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		large := pgtest.Message('D', strings.Repeat("x", 1<<20))
		for {
			if _, err := upstream.Write(large); err != nil {
				return
			}
		}
	}()
	<-time.After(100 * time.Millisecond) // the outcome is the same if it is not full by then
	began := time.Now()
	_ = r.server.Close()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	<-stuck
}

// TestCloseWrite: a client that waits for the end of the TCP stream gets it, and can still be read.
func TestCloseWrite(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	near, far := pgtest.TCPPair(t)
	made := make(chan net.Conn, 1)
	go func() {
		conn, _ := r.server.StartTLS(near, false)
		made <- conn
	}()
	client := tls.Client(far, r.config())
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := <-made
	if err := server.(*Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for i, reader := range []io.Reader{client, far} {
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := reader.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("reader %d: %d, %v", i, n, err)
		}
	}
	go func() { _, _ = io.WriteString(client, "x") }()
	if n, err := server.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
