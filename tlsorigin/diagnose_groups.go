package tlsorigin

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

// TrialOutcome says what became of a ClientHello.
type TrialOutcome string

// The outcomes of a row of the key-exchange matrix.
const (
	TrialWorks       TrialOutcome = "works"
	TrialRefused     TrialOutcome = "refused"     // an alert: the server does not have the group
	TrialVanishes    TrialOutcome = "vanishes"    // not one byte in answer: it is lost, or swallowed, on the way
	TrialFailed      TrialOutcome = "failed"      // anything else; Err says what
	TrialUnavailable TrialOutcome = "unavailable" // not sent: switched off in this process, or no time left
)

// GroupTrial is one row of the matrix: a ClientHello and what became of it.
type GroupTrial struct {
	Offered []tls.CurveID // nil for the configuration in force
	Outcome TrialOutcome
	Hello   Hello         // zero if it was not sent
	Took    time.Duration // handshake and verification, or the wait for an answer

	Group             tls.CurveID // negotiated; zero unless it works
	HelloRetryRequest bool        // the server asked for another key share, which costs a round trip
	Err               *Error      // nil if it works, or if it was not tried
}

// Hybrid reports whether the ClientHello carries a post-quantum key share, which is what makes it large.
func (k *GroupTrial) Hybrid() bool { return slices.ContainsFunc(k.Hello.KeyShares, IsHybrid) }

// singleGroups are the groups that the matrix offers alone.
func singleGroups() []tls.CurveID {
	return []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
}

// tryGroups fills the matrix. The configuration in force was tried by walk; the groups are tried side by side, so that
// several that vanish cost the time of one. Nothing is learned from them: nobody connects that way.
func (d *Dialer) tryGroups(ctx context.Context, r route, t *tlsState, walk *witness) []GroupTrial {
	groups := singleGroups()
	rows := make([]GroupTrial, 1+len(groups))
	rows[0] = walk.first().trial(nil)
	var trials sync.WaitGroup
	for i, group := range groups {
		trials.Go(func() {
			a := newAttempt(r, t, min(d.shareOf(ctx), keyExchangeTimeout))
			a.choose = func(net.Addr) choice { return choice{groups: []tls.CurveID{group}} }
			w := new(witness)
			w.watch(a)
			conn, failure := a.run(ctx, d.netDial)
			if conn != nil {
				_ = conn.Close()
			}
			if ctx.Err() == nil {
				a.report.Err = failure
			}
			rows[1+i] = w.first().trial([]tls.CurveID{group})
		})
	}
	trials.Wait()
	return rows
}

// trial is the row of the matrix for one attempt, which is over.
func (s *sighting) trial(offered []tls.CurveID) GroupTrial {
	a := s.attempt
	row := GroupTrial{Offered: offered, Hello: s.hello, Took: a.report.TLS, Err: a.report.Err, Outcome: TrialFailed}
	switch {
	case s.passed: // a rejection of the client certificate comes later and is no matter of groups
		row.Outcome, row.Group, row.HelloRetryRequest = TrialWorks, s.state.CurveID, s.state.HelloRetryRequest
		row.Err = nil
	case row.Err == nil, s.began && s.hello.Bytes == 0:
		row.Outcome, row.Err = TrialUnavailable, nil
	case a.vanished != "":
		row.Outcome = TrialVanishes
	case row.Err.Kind == ReasonTLSAlert:
		row.Outcome = TrialRefused
	}
	return row
}
