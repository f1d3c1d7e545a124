package pgwire

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// A client that reads nothing holds up its upstream, not the memory and not
// another session; and it loses nothing.
func TestStalledReader(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		stalled, flood := r.login("pid4key4")
		other, echo := r.login("pid5key5")
		const bound = 32 << 20 // four socket buffers and what the relay holds are far below
		var wg sync.WaitGroup
		wg.Go(func() {
			sent := 0
			for block := bytes.Repeat([]byte("flood"), 8<<10); sent < bound; {
				_ = flood.SetWriteDeadline(time.Now().Add(time.Second))
				n, err := flood.Write(block)
				if sent += n; err != nil {
					break
				}
			}
			if sent >= bound {
				t.Errorf("the upstream could send %d bytes that nobody read", sent)
			}
			flood.CloseWrite()
			got, err := io.ReadAll(stalled)
			if err != nil || len(got) != sent || !bytes.Equal(got[:5], []byte("flood")) {
				t.Errorf("the client got %d bytes of %d (%v)", len(got), sent, err)
			}
		})
		for range 100 {
			question, answer := pgtest.Message('Q', "select 1\x00"), pgtest.ReadyForQuery('I')
			other.Send(question)
			echo.Expect(question)
			echo.Send(answer)
			other.Expect(answer)
		}
		wg.Wait()
	})
}

// A half-closed session whose other direction stands still is ended.
func TestLingerOverTCP(t *testing.T) {
	for name, portable := range map[string]bool{"goroutines": true, "loop": false} {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, func(s *Server) { s.portable, s.LingerTimeout = portable, 50*time.Millisecond })
			client, upstream := r.login("pid4key4")
			client.CloseWrite()
			upstream.ExpectEOF()
			client.ExpectEOF()
			r.expectEnd(ReasonClientGone)
		})
	}
}

func TestDrainOverTCP(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		idle, _ := r.login("pid4key4")
		busy, upstream := r.login("pid5key5")
		r.beginTransaction(busy, upstream)
		drained := make(chan error, 1)
		go func() { drained <- r.server.Shutdown(context.Background()) }()
		idle.ExpectError("57P01")
		idle.ExpectEOF()
		_ = idle.Close()
		r.expectEnd(ReasonDraining)

		commit := pgtest.Message('Q', "commit\x00")
		busy.Send(commit)
		upstream.Expect(commit)
		committed := join(pgtest.Message('C', "COMMIT\x00"), pgtest.ReadyForQuery('I'))
		upstream.Send(committed)
		busy.Expect(committed)
		busy.ExpectError("57P01")
		busy.ExpectEOF()
		_ = busy.Close()
		r.expectEnd(ReasonDraining)
		if err := <-drained; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// What a client sends before the login is over arrives behind its startup packet.
func TestPipelinedBeforeLogin(t *testing.T) {
	eachRelay(t, func(_ *testing.T, r *rig) {
		client := r.connect()
		startup, early := pgtest.Startup("user", "app"), pgtest.Message('Q', "select 1\x00")
		client.Send(startup, early)
		upstream := <-r.upstreams
		upstream.Expect(startup, early)
		hello, later := pgtest.Login("pid4key4"), pgtest.Message('Q', "select 2\x00")
		upstream.Send(hello)
		client.Send(later)
		client.Expect(hello)
		upstream.Expect(later)
	})
}

// Many sessions at once, each with data of its own in pieces of all sizes.
func TestManySessions(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		var wg sync.WaitGroup
		for i := range 12 {
			client, upstream := r.login("pid" + string(rune('a'+i)) + "key4")
			wg.Go(func() { _, _ = io.Copy(upstream, upstream); upstream.CloseWrite() })
			random := rand.New(rand.NewPCG(1, uint64(i)))
			data := make([]byte, 300<<10)
			for j := range data {
				data[j] = byte(random.Uint32())
			}
			wg.Go(func() {
				for rest := data; len(rest) > 0; {
					n := min(1+random.IntN(100<<10), len(rest))
					client.Send(rest[:n])
					rest = rest[n:]
				}
				client.CloseWrite()
			})
			wg.Go(func() {
				if got, err := io.ReadAll(client); err != nil || !bytes.Equal(got, data) {
					t.Errorf("session %d: got %d bytes back (%v)", i, len(got), err)
				}
			})
		}
		wg.Wait()
	})
}

// A client connection without a descriptor is copied by goroutines, and what its
// uplink had read when it was asked to leave is not lost.
func TestLoopRefusesConnection(t *testing.T) {
	r := newTCPRig(t, nil)
	near, far := pgtest.TCPPair(t)
	r.ln.Hand(struct{ net.Conn }{near})
	client := pgtest.NewPeer(t, far)
	client.Send(pgtest.Startup("user", "app"))
	upstream := <-r.upstreams
	upstream.Expect(pgtest.Startup("user", "app"))
	upstream.Send(pgtest.Login("pid4key4"))
	client.Expect(pgtest.Login("pid4key4"))
	for range 10 {
		client.Send(pgtest.Message('Q', "select 1\x00"))
		upstream.Expect(pgtest.Message('Q', "select 1\x00"))
		upstream.Send(pgtest.ReadyForQuery('I'))
		client.Expect(pgtest.ReadyForQuery('I'))
	}
}
