package pgwire

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// BenchmarkNegotiate answers an SSLRequest and takes a startup packet as drivers send it.
func BenchmarkNegotiate(b *testing.B) {
	said := append(pgtest.SSLRequest(), pgtest.Startup("user", "app", "database", "app", "application_name", "bench", "client_encoding", "UTF8")...)
	client := &struct {
		bytes.Reader
		io.Writer
	}{Writer: io.Discard}
	b.ReportAllocs()
	for b.Loop() {
		client.Reset(said)
		if _, refused, err := negotiate(client, nil); err != nil || !refused {
			b.Fatal(refused, err)
		}
	}
}

// BenchmarkLoginMachine follows a whole login by SCRAM, from the offer to ReadyForQuery, in the pieces that
// it comes in.
func BenchmarkLoginMachine(b *testing.B) {
	request := func(code byte, body string) []byte { return pgtest.Message('R', "\x00\x00\x00"+string(code)+body) }
	pieces := [][]byte{
		pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"),
		request(authSASLContinue, strings.Repeat("c", 90)),
		bytes.Join([][]byte{request(authSASLFinal, strings.Repeat("f", 46)), pgtest.Login("12345678")}, nil),
	}
	first, _ := loginMessage('q')
	responses := [][]byte{first, pgtest.Message('p', strings.Repeat("p", 90))}
	b.ReportAllocs()
	for b.Loop() {
		l := login{attempt: attempt{loginMachine: newLoginMachine(StripChannelBinding, 0)}}
		for i, piece := range pieces {
			l.received.add(piece)
			for {
				message, complete, err := l.received.next()
				if err != nil {
					b.Fatal(err)
				}
				if !complete {
					break
				}
				if _, _, err := l.upstreamSays(message); err != nil {
					b.Fatal(err)
				}
			}
			if i < len(responses) {
				if err := l.clientSays(responses[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
		if l.state != loginReady || !l.stripped {
			b.Fatal("the machine has not followed the login")
		}
	}
}

// BenchmarkTracker follows what is relayed: a small answer, and a buffer of COPY in rows of 256 bytes.
func BenchmarkTracker(b *testing.B) {
	answer := bytes.Join([][]byte{
		pgtest.Message('T', strings.Repeat("t", 28)), pgtest.Message('D', "\x00\x01\x00\x00\x00\x011"), pgtest.Message('C', "SELECT 1\x00"), pgtest.ReadyForQuery('I'),
	}, nil)
	query := pgtest.Message('Q', "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;\x00")
	b.Run("transaction", func(b *testing.B) {
		var x txTracker
		b.ReportAllocs()
		for b.Loop() {
			x.clientSays(query)
			x.upstreamSays(answer, false)
		}
	})
	b.Run("buffer", func(b *testing.B) {
		row := pgtest.Message('d', strings.Repeat("x", 256)+"\n")
		buffer := bytes.Repeat(row, relayRead/len(row)) // whole messages, so that every one begins alike
		var x txTracker
		b.SetBytes(int64(len(buffer)))
		b.ReportAllocs()
		for b.Loop() {
			x.upstreamSays(buffer, false)
		}
	})
}

// BenchmarkRelay sends through a session over loopback, in the clear: one buffer in either direction, and a
// query with its answer. Allocations are those of both ends, too, which make none.
func BenchmarkRelay(b *testing.B) {
	buffer := pgtest.Message('d', strings.Repeat("x", relayRead-messageHeader))
	small := pgtest.Message('Q', strings.Repeat("x", 60))
	for name, portable := range map[string]bool{"goroutines": true, "loop": false} {
		for what, said := range map[string]struct{ toUpstream, toClient []byte }{
			"buffer out": {toClient: buffer}, "buffer in": {toUpstream: buffer}, "query": {toUpstream: small, toClient: small},
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				client, upstream := benchmarkSession(b, portable)
				got := make([]byte, relayRead)
				b.SetBytes(int64(len(said.toUpstream) + len(said.toClient)))
				b.ReportAllocs()
				for b.Loop() {
					pass(b, client, upstream, said.toUpstream, got)
					pass(b, upstream, client, said.toClient, got)
				}
			})
		}
	}
}

// pass writes p at one end and reads it at the other.
func pass(b *testing.B, from io.Writer, to io.Reader, p, got []byte) {
	if _, err := from.Write(p); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(to, got[:len(p)]); err != nil {
		b.Fatal(err)
	}
}

// benchmarkSession returns both ends of a session that has reached the relay.
func benchmarkSession(b *testing.B, portable bool) (client, upstream net.Conn) {
	near, upstream := pgtest.TCPPair(b)
	server := &Server{portable: portable, Dial: func(context.Context, net.Addr) (Upstream, error) {
		return pgtest.NewUpstream(near), nil
	}}
	ln := pgtest.NewListener()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	b.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	accepted, far := pgtest.TCPPair(b)
	ln.Hand(accepted)
	clientPeer, upstreamPeer := pgtest.NewPeer(b, far), pgtest.NewPeer(b, upstream)
	startup, hello := pgtest.Startup("user", "app"), pgtest.Login("12345678")
	clientPeer.Send(startup)
	upstreamPeer.Expect(startup)
	upstreamPeer.Send(hello)
	clientPeer.Expect(hello)
	return far, upstream
}
