package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// witness notes what the attempts of one diagnosis do. It decides nothing: what it sees is judged by the same code, and
// with the same result, as if it were not there.
type witness struct{ sightings []*sighting }

// sighting is one attempt with what a diagnosis wants to know besides its end.
type sighting struct {
	attempt *attempt
	began   bool                // TLS was about to begin
	hello   Hello               // zero if none could be made
	state   tls.ConnectionState // what the policy was asked to judge; zero if the handshake did not come that far
	passed  bool                // the policy was content with state
}

// witnessKey is the key under which a context holds a *witness.
type witnessKey struct{}

// observe lets the witness of ctx, if there is one, see a, which is about to run.
func observe(ctx context.Context, a *attempt) {
	if w, ok := ctx.Value(witnessKey{}).(*witness); ok {
		w.watch(a)
	}
}

// watch makes a note of a.
func (w *witness) watch(a *attempt) {
	s := &sighting{attempt: a}
	w.sightings = append(w.sightings, s)
	a.observe = func(config *tls.Config) {
		s.began = true
		s.hello, _ = buildHello(config.Clone()) // the error is that of the handshake that follows
		judge := config.VerifyConnection
		config.VerifyConnection = func(state tls.ConnectionState) error {
			s.state = state
			err := judge(state)
			s.passed = err == nil
			return err
		}
	}
}

// first is the attempt with the ClientHello that connections begin with.
func (w *witness) first() *sighting { return w.sightings[0] }

// last is the attempt by which the address was judged.
func (w *witness) last() *sighting { return w.sightings[len(w.sightings)-1] }

// lateRejection returns the rejection of the client certificate that TLS 1.3 delivers as the first thing to read.
func lateRejection(ctx context.Context, conn *Conn, took time.Duration) *Error {
	if !conn.auth.requested || conn.ConnectionState().Version < tls.VersionTLS13 || ctx.Err() != nil {
		return nil
	}
	// A rejection takes about as long as the handshake did; more for a server that is busy.
	_ = conn.SetReadDeadline(time.Now().Add(rejectionGrace + took))
	var failure *Error
	_, err := conn.Read(make([]byte, 1))
	if !errors.As(err, &failure) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return failure
}

// chain describes the certificates that the upstream sent and, if they verified, the chain that they are part of.
func (s *sighting) chain(failure *Error) PeerChain {
	now := time.Now()
	sent, chains := s.state.PeerCertificates, s.attempt.verification.chains
	if failure != nil {
		var refused *verify.Refusal
		if errors.As(failure.Err, &refused) {
			sent, chains = refused.Sent, refused.Chains
		}
	}
	return describeChain(sent, s.attempt.state.policy.Accepted(chains, now), now)
}
