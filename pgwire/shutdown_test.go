package pgwire

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, upstream := r.login("pid4key4")
		r.beginTransaction(client, upstream)
		silent := r.connect()
		drained := make(chan error, 1)
		go func() { drained <- r.server.Shutdown(context.Background()) }()
		synctest.Wait()

		// A new client is refused, in words; a cancel still passes; the session goes on.
		r.expectRefusal()

		canceller := r.connect()
		canceller.Send(pgtest.CancelRequest("pid4key4"))
		cancelled := <-r.upstreams
		cancelled.Expect(pgtest.CancelRequest("pid4key4"))
		_ = cancelled.Close()
		canceller.ExpectEOF()
		r.expectEnd(ReasonOK)

		query := pgtest.Message('Q', "commit\x00")
		go client.Send(query)
		upstream.Expect(query)

		select {
		case err := <-drained:
			t.Fatalf("Shutdown returned %v while a session runs", err)
		default:
		}
		committed := join(pgtest.Message('C', "COMMIT\x00"), pgtest.ReadyForQuery('I'))
		go upstream.Send(committed)
		client.Expect(committed)
		client.ExpectError("57P01")
		client.ExpectEOF()
		_ = client.Close()
		upstream.ExpectClosed()
		r.expectEnd(ReasonDraining)
		silent.ExpectEOF()
		_ = silent.Close()
		r.expectEnd(ReasonDraining)
		if err := <-drained; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// expectRefusal tries a new client, which is told in words that the server drains.
func (r *rig) expectRefusal() {
	r.t.Helper()
	late := r.connect()
	late.Send(pgtest.Startup("user", "app"))
	late.ExpectError("57P03")
	_ = late.Close()
	r.expectEnd(ReasonDraining)
	r.expectNoDial()
}

// Refuse keeps new clients out at once, and leaves a transaction alone.
func TestRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, upstream := r.login("pid4key4")
		r.beginTransaction(client, upstream)
		r.server.Refuse()
		r.expectRefusal()

		query := pgtest.Message('Q', "SELECT 1\x00")
		go client.Send(query)
		upstream.Expect(query)
		go upstream.Send(pgtest.ReadyForQuery('T'))
		client.Expect(pgtest.ReadyForQuery('T'))
		_ = client.Close()
		upstream.ExpectClosed()
		_ = upstream.Close()
		r.expectEnd(ReasonClientGone)
	})
}

// A session that is idle outside a transaction is ended at once.
func TestShutdownEndsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, upstream := r.login("pid4key4")
		drained := make(chan error, 1)
		start := time.Now()
		go func() { drained <- r.server.Shutdown(context.Background()) }()
		client.ExpectError("57P01")
		client.ExpectEOF()
		_ = client.Close()
		upstream.ExpectClosed()
		r.expectEnd(ReasonDraining)
		if err := <-drained; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		since(t, start, 0)
	})
}

// A client that waits for an upstream which does not answer does not hold up a drain. A cancel request goes
// on.
func TestShutdownEndsDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		r := newRig(t, func(s *Server) {
			dial := s.Dial
			s.Dial = func(ctx context.Context, target net.Addr) (Upstream, error) {
				select {
				case <-answer:
					return dial(ctx, target)
				case <-ctx.Done():
					return nil, context.Cause(ctx)
				}
			}
		})
		client, canceller := r.connect(), r.connect()
		client.Send(pgtest.Startup("user", "app"))
		canceller.Send(pgtest.CancelRequest("pid4key4"))
		synctest.Wait()
		drained := make(chan error, 1)
		start := time.Now()
		go func() { drained <- r.server.Shutdown(context.Background()) }()
		client.ExpectError("57P03")
		client.ExpectEOF()
		_ = client.Close()
		r.expectEnd(ReasonDraining)
		since(t, start, 0)

		close(answer)
		upstream := <-r.upstreams
		upstream.Expect(pgtest.CancelRequest("pid4key4"))
		_ = upstream.Close()
		canceller.ExpectEOF()
		r.expectEnd(ReasonOK)
		if err := <-drained; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestShutdownCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, upstream := r.login("pid4key4")
		r.beginTransaction(client, upstream)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		if err := r.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		since(t, start, 25*time.Second)
		closed := make(chan error, 1)
		go func() { closed <- r.server.Close() }()
		client.ExpectError("57P01")
		client.ExpectEOF()
		_ = client.Close()
		upstream.ExpectClosed()
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		r.expectEnd(ReasonDraining)
	})
}

// Close ends sessions in every phase within closeTimeout, although
// neither side of them moves.
func TestCloseInEveryPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		r := newRig(t, func(s *Server) {
			dial := s.Dial
			s.Dial = func(ctx context.Context, target net.Addr) (Upstream, error) {
				select {
				case <-hang:
				case <-ctx.Done():
					return nil, ctx.Err()
				default:
				}
				return dial(ctx, target)
			}
		})
		_, relaying := r.login("pid4key4")
		go func() { _, _ = relaying.Write(make([]byte, 1<<20)) }() // nobody reads it
		r.connect()
		inAuth := r.connect()
		inAuth.Send(pgtest.Startup("user", "app"))
		(<-r.upstreams).Expect(pgtest.Startup("user", "app"))
		synctest.Wait()
		start := time.Now()
		_ = r.server.Close()
		since(t, start, closeTimeout)
		for range 3 {
			r.expectEnd(ReasonDraining)
		}
	})
}

func TestAcceptBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		r := newRig(t, func(s *Server) {
			s.Trace.AcceptFailed = func(err error, retryIn time.Duration) {
				if !errors.Is(err, syscall.EMFILE) {
					t.Errorf("reported %v", err)
				}
				waits = append(waits, retryIn)
			}
		})
		start := time.Now()
		for range 10 {
			r.ln.Fail(syscall.EMFILE)
		}
		client, upstream := r.login("pid4key4") // accepts again when the last wait is over
		_ = client.Close()
		upstream.ExpectEOF()
		_ = upstream.Close()
		var total time.Duration
		for _, w := range waits {
			total += w
		}
		if len(waits) != 10 || waits[0] != 5*time.Millisecond || waits[9] != time.Second {
			t.Errorf("waited %v", waits)
		}
		since(t, start, total)
		r.expectEnd(ReasonClientGone)
	})
}

func TestCloseInterruptsAcceptBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.ln.Fail(syscall.EMFILE)
		start := time.Now()
		_ = r.server.Close()
		if err := <-r.served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		r.served <- ErrServerClosed // for the rig's own check
		since(t, start, 0)
	})
}

func TestServeAfterClose(t *testing.T) {
	s := &Server{}
	_ = s.Close()
	ln := pgtest.NewListener()
	if err := s.Serve(ln); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error("the listener was left open")
	}
}
