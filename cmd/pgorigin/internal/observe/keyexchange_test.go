package observe

import (
	"net"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

func TestPathChanges(t *testing.T) {
	const addr, resolved = "db:6432", "192.0.2.7:6432"
	until := time.Unix(1_800_000_000, 0)
	for _, row := range []struct {
		name   string
		change tlsorigin.KeyExchangeChange
		level  zapcore.Level
		fields map[string]any
	}{
		{
			"works",
			tlsorigin.KeyExchangeChange{After: tlsorigin.KeyExchangeNegotiated},
			zapcore.InfoLevel,
			map[string]any{"state": "negotiated", "upstream_addr": addr, "upstream": resolved, "origin": "default"},
		},
		{
			"box",
			tlsorigin.KeyExchangeChange{
				Before: tlsorigin.KeyExchangeNegotiated, After: tlsorigin.KeyExchangeBlocked, Fallback: tlsorigin.FallbackClassical,
				Cause: tlsorigin.CauseUnanswered, Until: until,
			},
			zapcore.WarnLevel,
			map[string]any{
				"state": "path_blocked", "before": "negotiated", "fallback": "classical", "probe_after": until.UTC().Format(jsonTime),
				"cause": "the ClientHello arrived but got no answer: an inspection box, or a server that reads once",
			},
		},
		{
			"MTU",
			tlsorigin.KeyExchangeChange{
				After: tlsorigin.KeyExchangeNegotiated, Fallback: tlsorigin.FallbackSmallSegments, Cause: tlsorigin.CausePacketsLost, Until: until,
			},
			zapcore.WarnLevel,
			map[string]any{"state": "negotiated", "fallback": "small_segments", "cause": "large packets are lost on the way: check the MTU"},
		},
		{
			"reset",
			tlsorigin.KeyExchangeChange{After: tlsorigin.KeyExchangeBlocked, Fallback: tlsorigin.FallbackClassical, Cause: tlsorigin.CauseReset, Until: until},
			zapcore.WarnLevel,
			map[string]any{"cause": "the answer to the ClientHello was a reset: an inspection box, or a server that reads once"},
		},
		{
			"end",
			tlsorigin.KeyExchangeChange{After: tlsorigin.KeyExchangeBlocked, Fallback: tlsorigin.FallbackClassical, Cause: tlsorigin.CauseClosed, Until: until},
			zapcore.WarnLevel,
			map[string]any{"cause": "the answer to the ClientHello was the end of the connection: an inspection box, or a server that reads once"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWatched()
			row.change.Addr, row.change.Resolved = addr, resolved
			w.DialTrace().KeyExchangeChanged(row.change)
			lines := w.logs.TakeAll()
			if len(lines) != 1 || lines[0].Level != row.level {
				t.Fatalf("lines are %v", lines)
			}
			got := lines[0].ContextMap()
			for key, want := range row.fields {
				if got[key] != want {
					t.Errorf("%s is %v, want %v", key, got[key], want)
				}
			}
			w.wantMetrics(t, map[string]string{`pgorigin_tls_post_quantum_state{origin="default",state="` + string(row.change.After) + `"}`: "1"})
			want := ""
			if cause, ok := row.fields["cause"]; ok {
				want = resolved + " uses the fallback " + string(row.change.Fallback) + ": " + cause.(string)
			}
			if got := w.keyExchange.note(); got != want {
				t.Errorf("the note is %q, want %q", got, want)
			}
			w.DialTrace().KeyExchangeChanged(tlsorigin.KeyExchangeChange{Resolved: resolved, Before: row.change.After, After: tlsorigin.KeyExchangeNegotiated})
			if got := w.keyExchange.note(); got != "" {
				t.Errorf("the note stays: %q", got)
			}
		})
	}
}

// TestStateOfAddresses: the gauge counts addresses, and an address that is forgotten is no event.
func TestStateOfAddresses(t *testing.T) {
	w := newWatched()
	change := w.DialTrace().KeyExchangeChanged
	change(tlsorigin.KeyExchangeChange{After: tlsorigin.KeyExchangeServerLacks})
	change(tlsorigin.KeyExchangeChange{After: tlsorigin.KeyExchangeServerLacks})
	change(tlsorigin.KeyExchangeChange{Before: tlsorigin.KeyExchangeServerLacks, After: tlsorigin.KeyExchangeNegotiated})
	w.logs.TakeAll()
	change(tlsorigin.KeyExchangeChange{Before: tlsorigin.KeyExchangeServerLacks})
	if lines := w.logs.TakeAll(); len(lines) != 0 {
		t.Errorf("lines are %v", lines)
	}
	w.wantMetrics(t, map[string]string{
		`pgorigin_tls_post_quantum_state{origin="default",state="server_lacks"}`: "0",
		`pgorigin_tls_post_quantum_state{origin="default",state="negotiated"}`:   "1",
		`pgorigin_tls_post_quantum_state{origin="default",state="path_blocked"}`: "0",
		`pgorigin_tls_post_quantum_state{origin="default",state="disabled"}`:     "0",
	})
}

// TestStatesAreThoseOfMetrics: a state that health does not know would be counted under another name.
func TestStatesAreThoseOfMetrics(t *testing.T) {
	for _, state := range tlsorigin.KeyExchangeStates() {
		w := newWatched()
		if w.metric(`pgorigin_tls_post_quantum_state{origin="default",state="`+string(state)+`"}`) != "0" {
			t.Errorf("no series for %s", state)
		}
	}
}

func TestFallbacksAndProbesAreCountedApart(t *testing.T) {
	w := newWatched()
	attempt := w.DialTrace().Attempt
	failed := &tlsorigin.Error{Kind: tlsorigin.ReasonTLSTimeout, Addr: "db:6432", Text: "agreed to TLS"}
	attempt(tlsorigin.Attempt{Err: failed})
	attempt(tlsorigin.Attempt{Fallback: tlsorigin.FallbackSmallSegments, Err: failed})
	address := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 6432}
	attempt(tlsorigin.Attempt{Fallback: tlsorigin.FallbackClassical, Resolved: address, State: verifiedState()})
	attempt(tlsorigin.Attempt{Probe: true, Err: failed})
	attempt(tlsorigin.Attempt{Probe: true, Resolved: address, State: verifiedState()})
	w.wantMetrics(t, map[string]string{
		`pgorigin_tls_fallbacks_total{kind="classical",origin="default"}`:                      "1",
		`pgorigin_tls_fallbacks_total{kind="small_segments",origin="default"}`:                 "0",
		`pgorigin_upstream_connects_total{origin="default",reason="tls_timeout"}`:              "2",
		`pgorigin_upstream_connects_total{origin="default",reason="ok"}`:                       "1",
		`pgorigin_tls_handshakes_total{group="X25519MLKEM768",origin="default",version="1.3"}`: "1",
	})
	if lines := w.logs.FilterMessage("upstream probed").All(); len(lines) != 2 || lines[0].Level != zapcore.DebugLevel {
		t.Errorf("lines of probes are %v", lines)
	}
}
