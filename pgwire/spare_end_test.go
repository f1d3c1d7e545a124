package pgwire

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// A cancel request takes a connection of its own, known key or not: what a dead spare does looks like an
// acknowledgement.
func TestCancelTakesNoSpare(t *testing.T) {
	packet := pgtest.CancelRequest("pid4key4")
	synctest.Test(t, func(t *testing.T) {
		r := newSpareRig(t, nil)
		r.server.DialSession = func(context.Context, func(func())) (Opened, error) {
			t.Error("a spare was asked for")
			return Opened{}, net.ErrClosed
		}
		canceller := r.connect()
		canceller.Send(packet)
		upstream := r.next()
		upstream.Expect(packet)
		_ = upstream.Close()
		canceller.ExpectEOF()
		_ = canceller.Close()
		if e := r.expectEnd(ReasonOK); e.ToUpstream != int64(len(packet)) {
			t.Errorf("%d bytes went to the upstream", e.ToUpstream)
		}
		r.expectFresh(0)
	})
}

// A session that was moved to a fresh connection is cancelled there.
func TestCancelKeyLeadsToTheFreshConnection(t *testing.T) {
	r := newTCPRig(t, nil)
	r.server.DialSession = func(ctx context.Context, _ func(func())) (Opened, error) {
		conn, err := r.dial(ctx, nil)
		return Opened{Upstream: conn, Replace: func(ctx context.Context, _ error) (Opened, error) {
			fresh, err := r.dial(ctx, nil)
			return Opened{Upstream: fresh}, err
		}}, err
	}
	client := r.connect()
	client.Send(pgtest.Startup("user", "app"))
	<-r.targets
	_ = (<-r.upstreams).Close()
	<-r.targets
	fresh := <-r.upstreams
	fresh.Expect(pgtest.Startup("user", "app"))
	fresh.Send(pgtest.Login("pid4key4"))
	client.Expect(pgtest.Login("pid4key4"))

	canceller := r.connect()
	canceller.Send(pgtest.CancelRequest("pid4key4"))
	if target := <-r.targets; target == nil || target.String() != fresh.LocalAddr().String() {
		t.Errorf("the cancel request went to %v, want %v", target, fresh.LocalAddr())
	}
	cancelled := <-r.upstreams
	cancelled.Expect(pgtest.CancelRequest("pid4key4"))
	_ = cancelled.Close()
	canceller.ExpectClosed()
	r.expectEnd(ReasonOK)
}

func TestInterruptedSpareIsNotReplaced(t *testing.T) {
	for _, row := range []struct {
		name   string
		end    func(*spareRig, *pgtest.Peer)
		state  string
		reason Reason
	}{
		{"login timeout", func(*spareRig, *pgtest.Peer) { time.Sleep(time.Minute) }, "57014", ReasonLoginTimeout},
		{"shutdown", func(r *spareRig, _ *pgtest.Peer) { go r.server.Close() }, "57P03", ReasonDraining},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSpareRig(t, nil)
				client := r.connect()
				client.Send(pgtest.Startup("user", "app"))
				spare := r.next()
				spare.Expect(pgtest.Startup("user", "app"))
				go row.end(r, client)
				client.ExpectError(row.state)
				_ = client.Close()
				_ = spare.Close()
				r.expectEnd(row.reason)
				r.expectFresh(0)
			})
		})
	}
}

func TestFreshMayFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpareRig(t, nil)
		client := r.connect()
		client.Send(pgtest.Startup("user", "app"))
		spare := r.next()
		spare.Expect(pgtest.Startup("user", "app"))
		r.dialError = refusal{"client_cert_rejected", "08001", "upstream db:5432: rejected the client certificate"}
		_ = spare.Close()
		contains(t, client.ExpectError("08001").Message, "rejected the client certificate")
		_ = client.Close()
		if e := r.expectEnd("client_cert_rejected"); e.SessionResult.Phase != PhaseDial {
			t.Errorf("ended in phase %v", e.SessionResult.Phase)
		}
	})
}
