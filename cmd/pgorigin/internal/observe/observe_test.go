package observe

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	zapobserver "go.uber.org/zap/zaptest/observer"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// watched is an observer whose log and metrics a test can read.
type watched struct {
	*Observer
	logs *zapobserver.ObservedLogs
	page http.Handler
}

func newWatched() watched {
	core, logs := zapobserver.New(zapcore.DebugLevel)
	status := new(health.Status)
	counts := metrics.New(metrics.Options{
		Origins: []string{config.DefaultOrigin}, Reasons: advice.Words(), DialReasons: advice.DialWords(),
		CertificateReasons: advice.CertificateWords(), CancelEffects: CancelEffects(), Status: status,
	})
	return watched{NewObserver(new(config.Origin), zap.New(core), counts, nil), logs, counts.Handler()}
}

// metric returns the value of a series as it is in /metrics, "" if there is none.
func (w watched) metric(series string) string {
	rec := httptest.NewRecorder()
	w.page.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	for line := range strings.Lines(rec.Body.String()) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// wantMetrics compares series, given without the label origin, which comes first or last.
func (w watched) wantMetrics(t *testing.T, want map[string]string) {
	t.Helper()
	for series, value := range want {
		if got := w.metric(series); got != value {
			t.Errorf("%s is %q, want %q", series, got, value)
		}
	}
}

// securedConn stands for a *tlsorigin.Conn.
type securedConn struct {
	net.Conn
	state tls.ConnectionState
}

func (securedConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 6432} }

func (c securedConn) ConnectionState() tls.ConnectionState { return c.state }

func verifiedState() tls.ConnectionState {
	return tls.ConnectionState{
		Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519MLKEM768,
		ServerName: "pgbouncer.prod",
		PeerCertificates: []*x509.Certificate{{
			Subject: pkix.Name{CommonName: "pgbouncer"}, NotAfter: time.Unix(1_800_000_000, 0),
		}},
	}
}

func someClient() pgwire.SessionInfo {
	return pgwire.SessionInfo{
		ID: 7, Client: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5555},
		User: "app", Database: "shop", ApplicationName: "psql",
	}
}

func TestSessionLine(t *testing.T) { synctest.Test(t, testSessionLine) }

func testSessionLine(t *testing.T) {
	w := newWatched()
	trace, info := w.SessionTrace(), someClient()
	info.Accepted = time.Now()
	trace.Accepted(info)
	w.wantMetrics(t, map[string]string{`pgorigin_sessions_open{origin="default"}`: "1"})
	time.Sleep(15 * time.Millisecond)
	trace.UpstreamReady(info, securedConn{state: verifiedState()}, 5*time.Millisecond)
	time.Sleep(85 * time.Millisecond)
	info.Method = "scram-sha-256-plus"
	trace.Authenticated(info)
	trace.Ended(info, pgwire.SessionResult{
		Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK, Duration: 1500 * time.Millisecond, ToUpstream: 100, ToClient: 2000,
	})
	lines := w.logs.TakeAll()
	if len(lines) != 1 || lines[0].Message != "session ended" || lines[0].Level != zapcore.InfoLevel {
		t.Fatalf("lines are %v", lines)
	}
	want := map[string]any{
		"origin": "default", "session": uint64(7), "client": "127.0.0.1:5555",
		"user": "app", "database": "shop", "application_name": "psql",
		"auth_method": "scram-sha-256-plus",
		"reason":      "ok", "phase": "relay", "closed_by": "client",
		"duration": 1.5, "startup_duration": 0.01, "dial_duration": 0.005, "auth_duration": 0.085, "relay_duration": 1.4,
		"bytes_to_upstream": int64(100), "bytes_to_client": int64(2000),
		"upstream": "192.0.2.7:6432", "tls_version": "1.3", "tls_cipher": "TLS_AES_128_GCM_SHA256",
		"tls_group": "X25519MLKEM768", "tls_peer": "pgbouncer.prod",
	}
	if got := lines[0].ContextMap(); !reflect.DeepEqual(got, want) {
		t.Errorf("fields are %v,\nwant %v", got, want)
	}
	w.wantMetrics(t, map[string]string{
		`pgorigin_sessions_open{origin="default"}`:                            "0",
		`pgorigin_sessions_total{origin="default",reason="ok"}`:               "1",
		`pgorigin_logins_total{method="scram-sha-256-plus",origin="default"}`: "1",
		`pgorigin_bytes_total{direction="to_client",origin="default"}`:        "2000",
		`pgorigin_bytes_total{direction="to_upstream",origin="default"}`:      "100",
		`pgorigin_session_duration_seconds_sum{origin="default"}`:             "1.5",
		`pgorigin_cancel_requests_total{origin="default",result="ok"}`:        "0",
		`pgorigin_sessions_total{origin="default",reason="tls_protocol"}`:     "0",
	})
	if len(w.upstreams) != 0 {
		t.Errorf("ended sessions are remembered: %v", w.upstreams)
	}
}

func TestLineOfARefusedSession(t *testing.T) {
	w := newWatched()
	trace, info := w.SessionTrace(), someClient()
	trace.Accepted(info)
	trace.Ended(info, pgwire.SessionResult{
		Phase: pgwire.PhaseDial, Reason: pgwire.Reason(tlsorigin.ReasonCertExpired), SQLState: "08001", Duration: time.Second,
		Err: &tlsorigin.Error{Addr: "db:6432", Text: "its certificate has expired", Err: errors.New("x509: \x1b[2Jlong ago")},
	})
	lines := w.logs.TakeAll()
	if len(lines) != 1 || lines[0].Level != zapcore.WarnLevel {
		t.Fatalf("lines are %v", lines)
	}
	fields := lines[0].ContextMap()
	for key, want := range map[string]any{
		"reason": "cert_expired", "phase": "dial", "sqlstate": "08001",
		"error": `upstream db:6432: its certificate has expired: x509: \x1b[2Jlong ago`,
	} {
		if fields[key] != want {
			t.Errorf("%s is %v, want %v", key, fields[key], want)
		}
	}
	if _, ok := fields["tls_version"]; ok {
		t.Error("a leg that was never up is described")
	}
	w.wantMetrics(t, map[string]string{`pgorigin_sessions_total{origin="default",reason="cert_expired"}`: "1"})
}

func TestLevels(t *testing.T) {
	for _, row := range []struct {
		reason pgwire.Reason
		phase  pgwire.Phase
		want   zapcore.Level
	}{
		{pgwire.ReasonOK, pgwire.PhaseRelay, zapcore.InfoLevel},
		{pgwire.ReasonClientGone, pgwire.PhaseStartup, zapcore.DebugLevel},
		{pgwire.ReasonDraining, pgwire.PhaseStartup, zapcore.DebugLevel},
		{pgwire.ReasonClientProtocol, pgwire.PhaseStartup, zapcore.WarnLevel},
		{pgwire.ReasonClientTimeout, pgwire.PhaseStartup, zapcore.WarnLevel},
		{pgwire.ReasonClientGone, pgwire.PhaseAuth, zapcore.InfoLevel},
		{pgwire.ReasonClientGone, pgwire.PhaseRelay, zapcore.InfoLevel},
		{pgwire.ReasonDraining, pgwire.PhaseRelay, zapcore.WarnLevel},
		{pgwire.ReasonAuthRejected, pgwire.PhaseAuth, zapcore.WarnLevel},
		{pgwire.ReasonLoginAbandoned, pgwire.PhaseAuth, zapcore.InfoLevel},
	} {
		if got := levelOf(pgwire.SessionInfo{}, pgwire.SessionResult{Reason: row.reason, Phase: row.phase}); got != row.want {
			t.Errorf("%s in %s: level %s, want %s", row.reason, row.phase, got, row.want)
		}
	}
	told := pgwire.SessionResult{Reason: pgwire.ReasonDraining, Phase: pgwire.PhaseStartup, SQLState: "57P03"}
	if got := levelOf(pgwire.SessionInfo{}, told); got != zapcore.WarnLevel {
		t.Errorf("a client that was told the number of its session: level %s, want warn", got)
	}
	insists := pgwire.SessionInfo{RefusedEncryption: true}
	if got := levelOf(insists, pgwire.SessionResult{Reason: pgwire.ReasonClientGone, Phase: pgwire.PhaseStartup}); got != zapcore.WarnLevel {
		t.Errorf("a client that insists on encryption: level %s, want warn", got)
	}
}

func TestCancelsAreCountedOnce(t *testing.T) {
	w := newWatched()
	trace := w.SessionTrace()
	for _, known := range []bool{true, false} {
		info := pgwire.SessionInfo{ID: 9, Client: &net.TCPAddr{}, Cancel: true, CancelKnown: known}
		trace.Accepted(info)
		trace.Ended(info, pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK})
	}
	w.wantMetrics(t, map[string]string{
		`pgorigin_cancel_requests_total{origin="default",result="ok"}`:          "1",
		`pgorigin_cancel_requests_total{origin="default",result="unknown_key"}`: "1",
		`pgorigin_sessions_total{origin="default",reason="ok"}`:                 "2",
	})
	fields := w.logs.TakeAll()[0].ContextMap()
	if fields["cancel"] != true || fields["cancel_known"] != true {
		t.Errorf("fields are %v", fields)
	}
	if _, ok := fields["user"]; ok {
		t.Error("a cancel request has no user")
	}
}

func TestAcceptFailed(t *testing.T) {
	w := newWatched()
	w.SessionTrace().AcceptFailed(errors.New("too many open files"), 5*time.Millisecond)
	lines := w.logs.TakeAll()
	if len(lines) != 1 || lines[0].Level != zapcore.WarnLevel || lines[0].ContextMap()["retry_in"] != 0.005 {
		t.Errorf("lines are %v", lines)
	}
	w.wantMetrics(t, map[string]string{`pgorigin_accept_errors_total{origin="default"}`: "1"})
}

// TestHostileClientInALogLine goes the whole way, from the hook to the bytes on stderr.
func TestHostileClientInALogLine(t *testing.T) {
	for _, format := range []config.LogFormat{config.FormatJSON, config.FormatConsole} {
		var out bytes.Buffer
		w := newWatched()
		w.log = NewLogger(&out, format, zapcore.InfoLevel, nil)
		info := someClient()
		info.User, info.Database, info.ApplicationName = hostile, hostile, hostile
		w.SessionTrace().Ended(info, pgwire.SessionResult{Reason: pgwire.ReasonClientProtocol, Err: errors.New(hostile)})
		if line := out.String(); strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x00\x1b\u009b\u202e") {
			t.Errorf("%s: %q", format, line)
		}
	}
}

func TestPeerName(t *testing.T) {
	state := verifiedState()
	if got := advice.PeerName(state); got != "pgbouncer.prod" {
		t.Errorf("peer is %q", got)
	}
	state.ServerName = "" // verified by IP address
	if got := advice.PeerName(state); got != "CN=pgbouncer" {
		t.Errorf("peer is %q", got)
	}
	state.PeerCertificates[0].Subject = pkix.Name{}
	state.PeerCertificates[0].IPAddresses = []net.IP{net.IPv4(192, 0, 2, 7)}
	if got := advice.PeerName(state); got != "192.0.2.7" {
		t.Errorf("peer is %q", got)
	}
}

// TestCancelEffectsAreThoseOfMetrics: one that metrics does not know would be counted under another name.
func TestCancelEffectsAreThoseOfMetrics(t *testing.T) {
	w := newWatched()
	for _, effect := range pgwire.CancelEffects() {
		w.cancelEffect(pgwire.SessionInfo{}, 1, effect)
		if w.metric(`pgorigin_cancel_effects_total{effect="`+string(effect)+`",origin="default"}`) != "1" {
			t.Errorf("%s is not counted", effect)
		}
	}
}
