package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

func TestGroupsHaveManyNames(t *testing.T) {
	for group, names := range map[tls.CurveID][]string{
		tls.CurveP256:          {"P-256", "p-256", "P256", "secp256r1", "prime256v1", "CurveP256"},
		tls.CurveP384:          {"P-384", "P384", "secp384r1", "CurveP384"},
		tls.CurveP521:          {"P-521", "P521", "secp521r1", "CurveP521"},
		tls.X25519:             {"X25519", "x25519", "curve25519"},
		tls.X25519MLKEM768:     {"X25519MLKEM768", "x25519mlkem768"},
		tls.SecP256r1MLKEM768:  {"SecP256r1MLKEM768"},
		tls.SecP384r1MLKEM1024: {"secp384r1mlkem1024"},
	} {
		for _, name := range names {
			var got config.TlsGroups
			if err := got.Decode(" " + name + " "); err != nil || len(got) != 1 || got[0] != group {
				t.Errorf("%s is read as %v (%v), want %v", name, got, err, group)
			}
		}
	}
}

// TestContradictingKeyExchange is found by tlsorigin and told in the names of variables.
func TestContradictingKeyExchange(t *testing.T) {
	for _, row := range []struct{ settings, want string }{
		{
			"PGORIGIN_TLS_POST_QUANTUM=require PGORIGIN_TLS_GROUPS=X25519MLKEM768,X25519",
			`PGORIGIN_TLS_GROUPS: saw "X25519": is classical although PGORIGIN_TLS_POST_QUANTUM is require; leave it out`,
		},
		{
			"PGORIGIN_TLS_POST_QUANTUM=off PGORIGIN_TLS_GROUPS=X25519MLKEM768",
			`PGORIGIN_TLS_GROUPS: saw "X25519MLKEM768": is a hybrid group although PGORIGIN_TLS_POST_QUANTUM is off; leave it out`,
		},
		{"PGORIGIN_TLS_GROUPS=P-256,P-256", `PGORIGIN_TLS_GROUPS: saw "P-256": is there twice`},
	} {
		env := append([]string{upstream}, strings.Fields(row.settings)...)
		got := runWith(t, env)
		if got.code != exitConfig || !strings.Contains(got.stderr, row.want) {
			t.Errorf("%s: %+v, want %s", row.settings, got, row.want)
		}
	}
}

func TestRequireThatCannotBeHonoured(t *testing.T) {
	t.Setenv("GODEBUG", "tlsmlkem=0")
	got := runWith(t, []string{upstream, "PGORIGIN_TLS_POST_QUANTUM=require"})
	want := `PGORIGIN_TLS_POST_QUANTUM: saw "require": cannot be honoured: this process sends no hybrid key share`
	if got.code != exitConfig || !strings.Contains(got.stderr, want) {
		t.Errorf("%+v, want %s", got, want)
	}
}

func TestHelloIsLoggedAtStart(t *testing.T) {
	stderr := newLogWatcher()
	env := append(startUpstream(t), "PGORIGIN_LISTEN_ADDR="+freeAddr(t), "PGORIGIN_HEALTH_ADDR=off", "PGORIGIN_TLS_GROUPS=P-256")
	code := make(chan int, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { code <- run(ctx, nil, env, io.Discard, stderr) }()
	line := stderr.wait(t, "client hello")
	groups, shares := line["groups"].([]any), line["key_shares"].([]any)
	if line["bytes"].(float64) < 200 || len(groups) != 1 || groups[0] != "P-256" || len(shares) != 1 || shares[0] != "P-256" {
		t.Errorf("line is %v", line)
	}
	stderr.wait(t, "ready")
	stop()
	wantCode(t, code, exitOK)
}

func TestPathChanges(t *testing.T) {
	const addr, resolved = "db:6432", "192.0.2.7:6432"
	until := time.Unix(1_800_000_000, 0)
	for _, row := range []struct {
		name   string
		change tlsorigin.PathChange
		level  zapcore.Level
		fields map[string]any
	}{
		{
			"works",
			tlsorigin.PathChange{After: tlsorigin.PathNegotiated},
			zapcore.InfoLevel,
			map[string]any{"state": "negotiated", "upstream_addr": addr, "upstream": resolved, "origin": "default"},
		},
		{
			"box",
			tlsorigin.PathChange{
				Before: tlsorigin.PathNegotiated, After: tlsorigin.PathBlocked, Fallback: tlsorigin.FallbackClassical,
				Cause: tlsorigin.CauseUnanswered, Until: until,
			},
			zapcore.WarnLevel,
			map[string]any{
				"state": "path_blocked", "before": "negotiated", "fallback": "classical", "probe_after": until,
				"cause": "the hello was delivered but not answered: an inspection box or a server that reads once",
			},
		},
		{
			"MTU",
			tlsorigin.PathChange{
				After: tlsorigin.PathNegotiated, Fallback: tlsorigin.FallbackSmallSegments, Cause: tlsorigin.CausePacketsLost, Until: until,
			},
			zapcore.WarnLevel,
			map[string]any{"state": "negotiated", "fallback": "small_segments", "cause": "large packets are lost on the way: check MTU"},
		},
		{
			"reset",
			tlsorigin.PathChange{After: tlsorigin.PathBlocked, Fallback: tlsorigin.FallbackClassical, Cause: tlsorigin.CauseReset, Until: until},
			zapcore.WarnLevel,
			map[string]any{"cause": "the hello was answered by a reset: an inspection box or a server that reads once"},
		},
		{
			"end",
			tlsorigin.PathChange{After: tlsorigin.PathBlocked, Fallback: tlsorigin.FallbackClassical, Cause: tlsorigin.CauseClosed, Until: until},
			zapcore.WarnLevel,
			map[string]any{"cause": "the hello was answered by closing the connection: an inspection box or a server that reads once"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWatched()
			row.change.Addr, row.change.Resolved = addr, resolved
			w.dialTrace().PathChanged(row.change)
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
				want = resolved + " goes by " + string(row.change.Fallback) + ": " + cause.(string)
			}
			if got := w.paths.note(); got != want {
				t.Errorf("the note is %q, want %q", got, want)
			}
			w.dialTrace().PathChanged(tlsorigin.PathChange{Resolved: resolved, Before: row.change.After, After: tlsorigin.PathNegotiated})
			if got := w.paths.note(); got != "" {
				t.Errorf("the note stays: %q", got)
			}
		})
	}
}

// TestStateOfAddresses: the gauge counts addresses, and an address that is forgotten is no event.
func TestStateOfAddresses(t *testing.T) {
	w := newWatched()
	change := w.dialTrace().PathChanged
	change(tlsorigin.PathChange{After: tlsorigin.PathServerLacks})
	change(tlsorigin.PathChange{After: tlsorigin.PathServerLacks})
	change(tlsorigin.PathChange{Before: tlsorigin.PathServerLacks, After: tlsorigin.PathNegotiated})
	w.logs.TakeAll()
	change(tlsorigin.PathChange{Before: tlsorigin.PathServerLacks})
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
	for _, state := range tlsorigin.PathStates() {
		w := newWatched()
		if w.metric(`pgorigin_tls_post_quantum_state{origin="default",state="`+string(state)+`"}`) != "0" {
			t.Errorf("no series for %s", state)
		}
	}
}

func TestFallbacksAndProbesAreCountedApart(t *testing.T) {
	w := newWatched()
	attempt := w.dialTrace().Attempt
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
