package pgwire

import (
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestCancelRequest(t *testing.T) {
	longKey := "pid4" + strings.Repeat("s", 256)
	for _, key := range []string{"pid4key4", longKey} {
		r := newTCPRig(t, nil)
		// Two sessions with keys of their own, on two upstream addresses.
		_, first := r.login("otherkey")
		_, second := r.login(key)
		for k, tt := range []struct {
			key   string
			owner *pgtest.Peer
		}{{key, second}, {"otherkey", first}, {"nobodys_", nil}} {
			canceller := r.connect()
			canceller.Send(pgtest.CancelRequest(tt.key), []byte("not read"))
			upstream := <-r.upstreams
			target := <-r.targets
			if (target == nil) != (tt.owner == nil) || target != nil && target.String() != tt.owner.LocalAddr().String() {
				t.Errorf("cancel %d went to %v", k, target)
			}
			upstream.Expect(pgtest.CancelRequest(tt.key))
			// The client is held until the upstream has acknowledged by closing.
			select {
			case e := <-r.ended:
				t.Fatalf("ended before the upstream closed: %+v", e)
			default:
			}
			_ = upstream.Close()
			canceller.ExpectClosed()
			e := r.expectEnd(ReasonOK)
			if !e.Cancel || e.CancelKnown != (tt.owner != nil) || e.ToUpstream != int64(len(pgtest.CancelRequest(tt.key))) {
				t.Errorf("cancel %d ended as %+v", k, e)
			}
		}
	}
}

func TestCancelKeyDiesWithItsSession(t *testing.T) {
	r := newTCPRig(t, nil)
	client, upstream := r.login("pid4key4")
	client.Send(pgtest.Terminate())
	_ = client.Close()
	upstream.Expect(pgtest.Terminate())
	_ = upstream.Close()
	r.expectEnd(ReasonOK)
	if err := r.server.Shutdown(t.Context()); err != nil { // returns when sessions are forgotten
		t.Fatal(err)
	}
	if n := len(r.server.keys.owners); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// A canceller is never answered, whatever goes wrong.
func TestCancelFailure(t *testing.T) {
	r := newTCPRig(t, nil)
	r.dialError = refusal{"cert_expired", "08001", "certificate expired"}
	canceller := r.connect()
	canceller.Send(pgtest.CancelRequest("pid4key4"))
	canceller.ExpectEOF()
	_ = canceller.Close()
	r.expectEnd("cert_expired")
}
