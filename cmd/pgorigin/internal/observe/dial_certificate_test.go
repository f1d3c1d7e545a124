package observe

import (
	"reflect"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

func refusedCertificate() *tlsorigin.Error {
	return &tlsorigin.Error{
		Kind: tlsorigin.ReasonCertExpired, Addr: "db:6432", Text: "certificate \"db\" expired",
		Also: []tlsorigin.Reason{tlsorigin.ReasonCertNameMismatch, tlsorigin.ReasonCertRevoked}, ExpectedName: "db.test",
		Peer: &tlsorigin.PeerCertificate{
			Subject: `"db"`, Issuer: `"CA"`, Names: []string{`"a.test"`}, SHA256: "00ff", Serial: "0A:0B",
			NotBefore: time.Unix(1_600_000_000, 0).UTC(), NotAfter: time.Unix(1_700_000_000, 0).UTC(),
		},
	}
}

func TestLineOfARefusedCertificate(t *testing.T) {
	w := newWatched()
	w.ended(someClient(), pgwire.SessionResult{Reason: "cert_expired", Phase: pgwire.PhaseDial, Err: refusedCertificate()})
	lines := w.logs.TakeAll()
	if len(lines) != 1 {
		t.Fatalf("lines are %v", lines)
	}
	line := lines[0].ContextMap()
	for field, want := range map[string]any{
		"reason": "cert_expired", "also": []any{"cert_name_mismatch", "cert_revoked"},
		"expected_name": "db.test", "cert_subject": `"db"`, "cert_issuer": `"CA"`, "cert_names": []any{`"a.test"`},
		"cert_sha256": "00ff", "cert_serial": "0A:0B", "cert_not_after": "2023-11-14T22:13:20.000Z",
	} {
		if !reflect.DeepEqual(line[field], want) {
			t.Errorf("%s is %v, want %v", field, line[field], want)
		}
	}
}

func TestEachReasonOfARefusedCertificateIsCounted(t *testing.T) {
	w := newWatched()
	w.attempt(tlsorigin.Attempt{Addr: "db:6432", Err: refusedCertificate()})
	w.attempt(tlsorigin.Attempt{Addr: "db:6432", Err: &tlsorigin.Error{Kind: tlsorigin.ReasonTLSRefused, Addr: "db:6432"}})
	w.wantMetrics(t, map[string]string{
		`pgorigin_upstream_certificate_problems_total{origin="default",reason="cert_expired"}`:       "1",
		`pgorigin_upstream_certificate_problems_total{origin="default",reason="cert_name_mismatch"}`: "1",
		`pgorigin_upstream_certificate_problems_total{origin="default",reason="cert_revoked"}`:       "1",
		`pgorigin_upstream_certificate_problems_total{origin="default",reason="cert_pin_mismatch"}`:  "0",
		`pgorigin_upstream_certificate_problems_total{origin="default",reason="tls_refused"}`:        "",
	})
}

func TestWhenListsRunOut(t *testing.T) {
	const sample = `pgorigin_tls_certificate_not_after_timestamp_seconds{origin="default",role="crl"}`
	w := newWatched()
	w.countExpiry(time.Time{}, time.Time{}, time.Time{})
	w.wantMetrics(t, map[string]string{sample: ""})
	w.countExpiry(time.Time{}, time.Time{}, time.Unix(1_800_000_000, 0))
	w.wantMetrics(t, map[string]string{sample: "1.8e+09"})
}
