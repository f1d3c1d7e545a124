package pgwire

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// since checks that the fake clock moved by exactly want.
func since(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestLoginTimeout(t *testing.T) {
	const limit = 7 * time.Second
	blockedDial := func(ctx context.Context, _ net.Addr) (Upstream, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	tests := map[string]struct {
		sends [][]byte
		dial  func(context.Context, net.Addr) (Upstream, error)
		says  []byte // by the upstream, which then falls silent
		shows int    // -1: the client hears nothing of it
		state string
		want  Reason
		phase Phase
	}{
		"silent client":         {want: ReasonClientTimeout, phase: PhaseStartup},
		"half a startup packet": {sends: [][]byte{pgtest.Startup("user", "app")[:7]}, want: ReasonClientTimeout, phase: PhaseStartup},
		"silent after N":        {sends: [][]byte{pgtest.SSLRequest()}, want: ReasonClientTimeout, phase: PhaseStartup},
		"dial hangs":            {sends: [][]byte{pgtest.Startup("user", "app")}, dial: blockedDial, state: "57014", want: ReasonLoginTimeout, phase: PhaseDial},
		"silent upstream":       {sends: [][]byte{pgtest.Startup("user", "app")}, state: "57014", want: ReasonLoginTimeout, phase: PhaseAuth},
		"silent after its offer": {
			sends: [][]byte{pgtest.Startup("user", "app")}, says: pgtest.AuthenticationSASL("SCRAM-SHA-256"),
			state: "57014", want: ReasonLoginTimeout, phase: PhaseAuth,
		},
		"silent within a message": {
			sends: [][]byte{pgtest.Startup("user", "app")}, says: pgtest.Message('N', "notice")[:8], shows: -1,
			state: "57014", want: ReasonLoginTimeout, phase: PhaseAuth,
		},
		"cancel is not taken": {sends: [][]byte{pgtest.CancelRequest("pid4key4")}, want: ReasonLoginTimeout, phase: PhaseRelay},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(s *Server) {
					s.LoginTimeout = limit
					if tt.dial != nil {
						s.Dial = tt.dial
					}
				})
				start := time.Now()
				client := r.connect()
				go func() {
					for _, b := range tt.sends {
						_, _ = client.Write(b)
					}
				}()
				if len(tt.sends) > 0 && tt.phase == PhaseStartup && len(tt.sends[0]) == 8 {
					client.Expect([]byte("N"))
				}
				if tt.phase >= PhaseAuth {
					upstream := <-r.upstreams
					upstream.Expect(tt.sends[0])
					go upstream.Send(tt.says)
					if tt.shows == 0 {
						client.Expect(tt.says)
					}
				}
				if tt.state != "" {
					contains(t, client.ExpectError(tt.state).Message, "longer than 7s")
				}
				client.ExpectEOF()
				since(t, start, limit)
				_ = client.Close()
				if e := r.expectEnd(tt.want); e.SessionResult.Phase != tt.phase {
					t.Errorf("ended in phase %v, want %v", e.SessionResult.Phase, tt.phase)
				}
			})
		})
	}
}

// Silent clients beyond MaxPending have to go, the oldest first, once they have
// had their grace; who speaks at once is not touched.
func TestSilentClientsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan SessionResult, 2*MaxPending)
		r := newRig(t, func(s *Server) {
			s.Trace.Ended = func(_ SessionInfo, res SessionResult) { ended <- res }
		})
		client, upstream := r.login("pid4key4") // older than all of them
		silent := func() *pgtest.Peer {
			p := r.connect()
			synctest.Wait()
			return p
		}
		oldest := silent()
		for range MaxPending {
			silent()
		}
		time.Sleep(pendingGrace - time.Millisecond)
		silent()
		synctest.Wait()
		if len(ended) > 0 {
			t.Fatalf("ended within its grace: %+v", <-ended)
		}
		time.Sleep(time.Millisecond)
		silent()
		oldest.ExpectEOF()
		_ = oldest.Close()
		if e := <-ended; e.Reason != ReasonClientTimeout {
			t.Errorf("ended with %s", e.Reason)
		}
		go client.Send([]byte("still here"))
		upstream.Expect([]byte("still here"))
	})
}

// A drip-fed packet does not earn more time.
func TestLoginTimeoutIsOneClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *Server) { s.LoginTimeout = 5 * time.Second })
		start := time.Now()
		client := r.connect()
		var drip sync.WaitGroup
		defer drip.Wait()
		drip.Go(func() {
			for _, b := range pgtest.Startup("user", "app") {
				if _, err := client.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		client.ExpectEOF()
		since(t, start, 5*time.Second)
		_ = client.Close()
		r.expectEnd(ReasonClientTimeout)
	})
}

// After login no clock runs: NOTIFY may come after a day.
func TestIdleSessionHasNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, upstream := r.login("pid4key4")
		time.Sleep(24 * time.Hour)
		notification := pgtest.Message('A', "\x00\x00\x00\x01channel\x00\x00")
		go upstream.Send(notification)
		client.Expect(notification)
	})
}

// The answer to a refused client is bounded even if nobody reads it.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.dialError = refusal{"tls_refused", "08001", "no TLS"}
		start := time.Now()
		client := r.connect()
		client.Send(pgtest.Startup("user", "app"))
		r.expectEnd("tls_refused")
		since(t, start, closeTimeout)
	})
}

// A client that has ended its stream waits for its answer as long as the upstream
// lives; with the upstream's end the session is over.
func TestHalfClosedClientIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		client, upstream := r.login("pid4key4")
		client.CloseWrite()
		upstream.ExpectEOF()
		time.Sleep(time.Hour)
		go upstream.Send([]byte("answer"))
		client.Expect([]byte("answer"))
		start := time.Now()
		upstream.CloseWrite()
		client.ExpectEOF()
		_ = client.Close()
		r.expectEnd(ReasonClientGone)
		since(t, start, 0)
	})
}
