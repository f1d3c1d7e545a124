package pgwire

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestCancelOverASpare(t *testing.T) {
	packet := pgtest.CancelRequest("pid4key4")
	for _, row := range []struct {
		name   string
		answer func(*pgtest.Peer)
		fresh  int32
	}{
		{"taken", func(p *pgtest.Peer) { _ = p.Close() }, 0},
		{"too old", expire("08P01", "client_login_timeout"), 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSpareRig(t, nil)
				canceller := r.connect()
				canceller.Send(packet)
				spare := r.next()
				spare.Expect(packet)
				row.answer(spare)
				if row.fresh > 0 {
					again := r.next()
					again.Expect(packet)
					_ = again.Close()
				}
				canceller.ExpectEOF()
				_ = canceller.Close()
				if e := r.expectEnd(ReasonOK); e.ToUpstream != int64(len(packet)) {
					t.Errorf("%d bytes went to the upstream", e.ToUpstream)
				}
				r.expectFresh(row.fresh)
			})
		})
	}
}

// A session that was moved to a fresh connection is cancelled there.
func TestCancelKeyLeadsToTheFreshConnection(t *testing.T) {
	r := newTCPRig(t, nil)
	dial := r.server.Dial
	first := true
	r.server.Dial = func(ctx context.Context, target net.Addr) (net.Conn, error) {
		conn, err := dial(ctx, target)
		if !first {
			return conn, err
		}
		first = false
		return spareConn{conn, func(ctx context.Context) (net.Conn, error) { return dial(ctx, target) }, new(atomic.Int32)}, err
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
