package diagnose

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Outcome says what became of a ClientHello.
type Outcome string

// The outcomes of a row of the key-exchange matrix.
const (
	TrialWorks       Outcome = "works"
	TrialRefused     Outcome = "refused"     // an alert: the server does not have the group
	TrialVanishes    Outcome = "vanishes"    // not one byte in answer: it is lost, or swallowed, on the way
	TrialFailed      Outcome = "failed"      // another failure; Err says which
	TrialUnavailable Outcome = "unavailable" // not sent: switched off in this process, or no time left
)

// Trial is one row of the key-exchange matrix: a ClientHello and what became of it.
type Trial struct {
	Offered []tls.CurveID // nil for the configuration in force
	Outcome Outcome
	Hello   tlsorigin.Hello // zero if it was not sent
	Took    time.Duration   // handshake and verification, or the wait for an answer

	Group             tls.CurveID      // negotiated; zero unless it works
	HelloRetryRequest bool             // the server asked for another key share, which costs a round trip
	Err               *tlsorigin.Error // nil if it works, or if it was not tried
}

// Hybrid reports whether the ClientHello carries a post-quantum key share, which is what makes it large.
func (k *Trial) Hybrid() bool { return slices.ContainsFunc(k.Hello.KeyShares, tlsorigin.IsHybrid) }

// singleGroups are the groups that the matrix offers alone.
func singleGroups() []tls.CurveID {
	return []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
}

// tryGroups fills the matrix. The walk tried the configuration in force; the groups are tried side by side,
// so that several that vanish cost the time of one.
func (w *walker) tryGroups(ctx context.Context, addr *tlsorigin.Addr,
	inForce tlsorigin.ObservedAttempt,
) []Trial {
	groups := singleGroups()
	rows := make([]Trial, 1+len(groups))
	rows[0] = newTrial(nil, inForce)
	var trials sync.WaitGroup
	for i, group := range groups {
		trials.Go(func() {
			rows[1+i] = w.tryGroup(ctx, addr, group)
		})
	}
	trials.Wait()
	return rows
}

func (w *walker) tryGroup(ctx context.Context, addr *tlsorigin.Addr, group tls.CurveID) Trial {
	found, err := w.dialer.Observe(ctx, addr, min(w.shareOf(ctx), keyExchangeTimeout),
		&tlsorigin.Offer{Groups: []tls.CurveID{group}})
	if found.Conn != nil {
		_ = found.Conn.Close()
	}
	if err != nil || len(found.Attempts) == 0 {
		return Trial{Offered: []tls.CurveID{group}, Outcome: TrialUnavailable}
	}
	return newTrial([]tls.CurveID{group}, found.Attempts[0])
}

// newTrial is the row of the matrix for one attempt, which is over.
func newTrial(offered []tls.CurveID, a tlsorigin.ObservedAttempt) Trial {
	row := Trial{Offered: offered, Hello: a.Hello, Took: a.TLS, Err: a.Err, Outcome: TrialFailed}
	switch {
	case a.Accepted: // a rejection of the client certificate comes later and does not depend on the group
		row.Outcome, row.Group, row.HelloRetryRequest = TrialWorks, a.State.CurveID, a.State.HelloRetryRequest
		row.Err = nil
	case row.Err == nil, a.Began && a.Hello.Bytes == 0:
		row.Outcome, row.Err = TrialUnavailable, nil
	case a.Vanished != "":
		row.Outcome = TrialVanishes
	case row.Err.Kind == tlsorigin.ReasonTLSAlert, row.Err.Kind == tlsorigin.ReasonTLSNoCommon,
		row.Err.Kind == tlsorigin.ReasonTLSServerName:
		row.Outcome = TrialRefused
	}
	return row
}
