package observe

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

func TestAttempts(t *testing.T) {
	w := newWatched()
	trace := w.DialTrace()
	trace.Attempt(tlsorigin.Attempt{
		Addr: "a:6432", Connect: time.Second,
		Err: &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamTimeout, Addr: "a:6432", Text: "did not answer"},
	})
	trace.Attempt(tlsorigin.Attempt{
		Addr: "b:6432", Resolved: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 6432}, State: verifiedState(),
		Connect: time.Millisecond, SSLRequest: time.Millisecond, TLS: time.Millisecond,
	})
	resumed := verifiedState()
	resumed.DidResume = true
	trace.Attempt(tlsorigin.Attempt{Addr: "b:6432", Resolved: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 6432}, State: resumed})
	if !w.latest.describe(time.Now()).Resumed {
		t.Error("the status does not say that a session was resumed")
	}
	for _, line := range w.logs.TakeAll() {
		if line.Level != zapcore.DebugLevel {
			t.Errorf("a line besides the one of the session: %v", line)
		}
	}
	w.wantMetrics(t, map[string]string{
		`pgorigin_upstream_connects_total{origin="default",reason="ok"}`:                                     "2",
		`pgorigin_upstream_connects_total{origin="default",reason="upstream_timeout"}`:                       "1",
		`pgorigin_upstream_connect_duration_seconds_count{origin="default",phase="tcp"}`:                     "2",
		`pgorigin_upstream_connect_duration_seconds_count{origin="default",phase="tls"}`:                     "1",
		`pgorigin_tls_handshakes_total{group="X25519MLKEM768",origin="default",version="1.3"}`:               "2",
		`pgorigin_tls_resumptions_total{origin="default"}`:                                                   "1",
		`pgorigin_tls_certificate_not_after_timestamp_seconds{origin="default",role="upstream"}`:             "1.8e+09",
		`pgorigin_tls_certificate_not_after_timestamp_seconds{origin="default",role="ca"}`:                   "",
		`pgorigin_upstream_connect_duration_seconds_bucket{origin="default",phase="sslrequest",le="0.0005"}`: "0",
	})
	w.countExpiry(time.Unix(1_700_000_000, 0), time.Time{}, time.Time{})
	w.wantMetrics(t, map[string]string{
		`pgorigin_tls_certificate_not_after_timestamp_seconds{origin="default",role="ca"}`:     "1.7e+09",
		`pgorigin_tls_certificate_not_after_timestamp_seconds{origin="default",role="client"}`: "",
	})
}

// TestEveryGroupHasASeries: a group that Go can negotiate must not be counted as "other".
func TestEveryGroupHasASeries(t *testing.T) {
	w := newWatched()
	for _, id := range []tls.CurveID{
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
	} {
		series := `pgorigin_tls_handshakes_total{group="` + tlsorigin.GroupName(id) + `",origin="default",version="1.3"}`
		if w.metric(series) != "0" {
			t.Errorf("no series %s", series)
		}
	}
	if tlsorigin.GroupName(0) != "" || advice.VersionName(0) != "" || advice.VersionName(tls.VersionTLS12) != "1.2" {
		t.Error("names of nothing, or of TLS 1.2, are wrong")
	}
}
