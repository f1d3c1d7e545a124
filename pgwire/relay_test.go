package pgwire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// When the upstream dies in the relay, a client that waits for a message is
// told so; in the midst of data nothing may be slipped in.
func TestUpstreamLostInRelay(t *testing.T) {
	fatal := pgtest.ErrorResponse("57P01", "terminating connection due to administrator command")
	crash := pgtest.Message('N', "SWARNING\x00VWARNING\x00C57P02\x00Mterminating connection because of crash\x00Rquickdie\x00\x00")
	tests := map[string]struct {
		client, upstream []byte
		told             bool
		want             Reason // "" means upstream_gone
	}{
		"idle":               {told: true},
		"waiting for result": {client: pgtest.Message('Q', "select 1\x00"), told: true},
		"in the midst":       {client: pgtest.Message('Q', "select 1\x00"), upstream: []byte("D\x00\x00\x40")},
		"upstream said why":  {upstream: fatal, want: ReasonUpstreamShutdown},
		"crashes":            {upstream: crash, told: true, want: ReasonUpstreamShutdown},
		"after a result":     {upstream: join(pgtest.Message('C', "SELECT 0\x00"), pgtest.ReadyForQuery('T')), told: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			eachRelay(t, func(_ *testing.T, r *rig) {
				client, upstream := r.login("pid4key4")
				client.Send(tt.client)
				upstream.Expect(tt.client)
				upstream.Send(tt.upstream)
				upstream.CloseWrite()
				client.Expect(tt.upstream)
				told, want := "", ReasonUpstreamGone
				if tt.want != "" {
					told, want = "57P01", tt.want
				}
				if tt.told {
					told = "08006"
					client.ExpectError(told)
				}
				client.ExpectEOF()
				_ = client.Close()
				if e := r.expectEnd(want); e.SQLState != told {
					t.Errorf("the log has SQLSTATE %q, the client was told %q", e.SQLState, told)
				}
			})
		})
	}
}

// A client that said goodbye but keeps its socket does not hold the session.
func TestTerminateWithoutClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, upstream := r.login("pid4key4")
		go client.Send(pgtest.Terminate())
		upstream.Expect(pgtest.Terminate())
		start := time.Now()
		_ = upstream.Close()
		r.expectEnd(ReasonOK)
		since(t, start, 0)
	})
}

func TestClientLeavesWithoutTerminate(t *testing.T) {
	eachRelay(t, func(_ *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		_ = client.Close()
		upstream.ExpectEOF()
		_ = upstream.Close()
		r.expectEnd(ReasonClientGone)
	})
}

// Both directions full at once must not lock up.
func TestBothDirectionsFull(t *testing.T) {
	eachRelay(t, func(t *testing.T, r *rig) {
		client, upstream := r.login("pid4key4")
		const size = 8 << 20
		data := bytes.Repeat([]byte("pgorigin"), size/8)
		var wg sync.WaitGroup
		for _, p := range []*pgtest.Peer{client, upstream} {
			wg.Go(func() { _, _ = p.Write(data) })
			wg.Go(func() {
				got := make([]byte, size)
				if n, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, data) {
					t.Errorf("got %d bytes (%v)", n, err)
				}
			})
		}
		wg.Wait()
	})
}

// refuser is an upstream connection that takes the startup packet and is then reset. The kernel
// reports that once: to the write. A read finds what had come before, and the end.
type refuser struct {
	Upstream
	taken bool
}

func (r *refuser) Write(p []byte) (int, error) {
	if r.taken {
		_ = r.Socket().(*net.TCPConn).CloseRead()
		return 0, syscall.ECONNRESET
	}
	r.taken = true
	return r.Upstream.Write(p)
}

func (r *refuser) TryWrite([]byte) (bool, error) { return false, syscall.ECONNRESET }

// The reset that a write has met is the reason, though the read finds nothing but the end. Of two
// goroutines either may be first to notice. What the upstream did not take is not counted.
func TestUpstreamRefuses(t *testing.T) {
	for name, portable := range map[string]bool{"goroutines": true, "loop": false} {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, func(s *Server) { s.portable = portable })
			r.secure = func(near net.Conn) Upstream {
				return &refuser{Upstream: pgtest.NewUpstream(near)}
			}
			client, _ := r.login("pid4key4")
			client.Send(pgtest.Message('Q', "select 1\x00"))
			client.ExpectError("08006")
			_ = client.Close()
			e := r.expectEnd(ReasonUpstreamGone)
			if e.ToUpstream != int64(len(pgtest.Startup("user", "app"))) {
				t.Errorf("%d bytes are said to have gone to the upstream", e.ToUpstream)
			}
			if !portable && !errors.Is(e.Err, syscall.ECONNRESET) {
				t.Errorf("the cause is %v", errors.Unwrap(e.Err))
			}
		})
	}
}

// An upstream that says why, and leaves unread what the client sends, resets the connection. The
// client gets the words.
func TestLastWordsBeforeReset(t *testing.T) {
	fatal := pgtest.ErrorResponse("57P01", "terminating connection due to administrator command")
	for range 20 {
		eachRelay(t, func(_ *testing.T, r *rig) {
			client, upstream := r.login("pid4key4")
			client.Send(bytes.Repeat([]byte("d\x00\x00\x00\x0crow 1234"), 20<<10))
			upstream.Send(fatal)
			_ = upstream.Close()
			_, _ = client.Write(bytes.Repeat([]byte("d\x00\x00\x00\x0crow 1234"), 20<<10))
			client.Expect(fatal)
			client.ExpectClosed()
			_ = client.Close()
			r.expectEnd(ReasonUpstreamShutdown)
		})
	}
}

// A side that breaks its connection in the midst of everything.
func TestResetInRelay(t *testing.T) {
	for name, want := range map[string]Reason{"client": ReasonClientGone, "upstream": ReasonUpstreamGone} {
		t.Run(name, func(t *testing.T) {
			eachRelay(t, func(t *testing.T, r *rig) {
				client, upstream := r.login("pid4key4")
				gone, left := client, upstream
				if want == ReasonUpstreamGone {
					gone, left = upstream, client
				}
				if err := gone.Conn.(*net.TCPConn).SetLinger(0); err != nil {
					t.Fatal(err)
				}
				_ = gone.Close()
				left.ExpectClosed()
				_ = left.Close()
				r.expectEnd(want)
			})
		})
	}
}
