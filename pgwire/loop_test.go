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

// A side that reads nothing holds up the other one, not the memory and not
// another session; and it loses nothing.
func TestStalledReader(t *testing.T) {
	for name, clientStalls := range map[string]bool{"client": true, "upstream": false} {
		t.Run(name, func(t *testing.T) {
			eachRelay(t, func(t *testing.T, r *rig) {
				stalled, flood := r.login("pid4key4")
				if !clientStalls {
					stalled, flood = flood, stalled
				}
				other, echo := r.login("pid5key5")
				var wg sync.WaitGroup
				wg.Go(func() {
					sent := fill(t, flood)
					flood.CloseWrite()
					got, err := io.ReadAll(stalled)
					if err != nil || len(got) != sent || !bytes.Equal(got[:5], []byte("flood")) {
						t.Errorf("%d bytes arrived of %d (%v)", len(got), sent, err)
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
		})
	}
}

// fill writes to p until nobody takes any more, and returns how much that was.
func fill(t *testing.T, p *pgtest.Peer) (sent int) {
	t.Helper()
	// Far above four socket buffers, which a kernel lets grow to 32 MiB each, and what the relay holds.
	const bound = 256 << 20
	for block := bytes.Repeat([]byte("flood"), 8<<10); sent < bound; {
		_ = p.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := p.Write(block)
		if sent += n; err != nil {
			return sent
		}
	}
	t.Errorf("%d bytes could be sent that nobody read", sent)
	return sent
}

// A session in which nothing moves any more is ended by Close.
func TestCloseWhileStuck(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		var wg sync.WaitGroup
		wg.Go(func() { fill(t, client) })
		wg.Go(func() { fill(t, upstream) })
		wg.Wait()
		if err := r.server.Close(); err != nil {
			t.Error(err)
		}
		r.expectEnd(ReasonDraining)
	})
}

// What an upstream has sent before its end is delivered, however long the client
// takes. Only Close ends that.
func TestSlowClientGetsAll(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		t.Parallel()
		client, upstream := r.login("pid4key4")
		sent := fill(t, upstream)
		_ = upstream.Close()
		time.Sleep(2 * closeTimeout)
		if got, err := io.ReadAll(client); len(got) < sent {
			t.Errorf("the client got %d bytes of %d (%v)", len(got), sent, err)
		}
		_ = client.Close()
		r.expectEnd(ReasonUpstreamGone)
	})
}

func TestCloseEndsDelivery(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		_, upstream := r.login("pid4key4")
		fill(t, upstream)
		_ = upstream.Close()
		if err := r.server.Close(); err != nil {
			t.Error(err)
		}
		r.expectEnd(ReasonDraining)
	})
}

func TestCountsAreExact(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		question, answer := bytes.Repeat([]byte("?"), 3<<20+1), bytes.Repeat([]byte("!"), 5<<20+7)
		var wg sync.WaitGroup
		expect := func(p *pgtest.Peer, want int) {
			if got, err := io.ReadAll(p); len(got) != want || err != nil {
				t.Errorf("got %d bytes of %d (%v)", len(got), want, err)
			}
		}
		wg.Go(func() { client.Send(question); client.CloseWrite() })
		wg.Go(func() { expect(client, len(answer)) })
		wg.Go(func() {
			upstream.Send(answer)
			expect(upstream, len(question))
			_ = upstream.Close()
		})
		wg.Wait()
		e := <-r.ended
		if want := int64(len(pgtest.Startup("user", "app")) + len(question)); e.ToUpstream != want {
			t.Errorf("counted %d bytes to the upstream, want %d", e.ToUpstream, want)
		}
		if want := int64(len(pgtest.Login("pid4key4")) + len(answer)); e.ToClient != want {
			t.Errorf("counted %d bytes to the client, want %d", e.ToClient, want)
		}
	})
}

// Sessions that come and go leave one that stays alone.
func TestSessionsComeAndGo(t *testing.T) {
	eachRelay(t, func(_ *testing.T, r *rig) {
		ping := func(client, upstream *pgtest.Peer) {
			for _, way := range [][2]*pgtest.Peer{{client, upstream}, {upstream, client}} {
				way[0].Send([]byte("ping"))
				way[1].Expect([]byte("ping"))
			}
		}
		client, upstream := r.login("pid4key4")
		for i := range 40 {
			guest, theirs := r.login("pid5key5")
			ping(guest, theirs)
			ping(client, upstream)
			if i%2 == 0 {
				guest, theirs = theirs, guest
			}
			_ = guest.Close()
			ping(client, upstream)
			theirs.ExpectClosed()
			_ = theirs.Close()
			<-r.ended
		}
	})
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

// What a client sends before the login is over stays in its socket until then.
func TestPipelinedBeforeLogin(t *testing.T) {
	eachRelay(t, func(_ *testing.T, r *rig) {
		client := r.connect()
		startup, early := pgtest.Startup("user", "app"), pgtest.Message('Q', "select 1\x00")
		client.Send(startup, early)
		upstream := <-r.upstreams
		upstream.Expect(startup)
		hello, later := pgtest.Login("pid4key4"), pgtest.Message('Q', "select 2\x00")
		upstream.Send(hello)
		client.Send(later)
		client.Expect(hello)
		upstream.Expect(early, later)
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

// A client connection without a descriptor is copied by goroutines, and counted.
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
	if n := r.server.SessionsOffLoop(); n != 1 {
		t.Errorf("%d sessions are off the loop, want 1", n)
	}
}
