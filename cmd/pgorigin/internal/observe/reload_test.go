package observe

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/spares"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// What a session finds out is shown, too: as a note where readiness does not depend on it.
func TestSessionsTellTheStatus(t *testing.T) {
	w := newWatched()
	trace := w.SessionTrace()
	end := func(result pgwire.SessionResult) {
		trace.Accepted(someClient())
		trace.Ended(someClient(), result)
	}
	refused := &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamRefused, Addr: "db:6432", Text: "nobody listens there", Err: errors.New("secret cause")}
	end(pgwire.SessionResult{Phase: pgwire.PhaseDial, Reason: "upstream_refused", Err: refused})
	probe := w.Prober.Snapshot()
	if probe.State != health.ProbeDown || probe.Problem.Reason != "upstream_refused" || probe.Problem.Text != "upstream db:6432: nobody listens there" {
		t.Errorf("after a failed dial: %+v", probe)
	}
	trace.Accepted(someClient())
	trace.UpstreamReady(someClient(), securedConn{state: verifiedState()}, time.Millisecond)
	if w.Prober.Snapshot().State != health.ProbeDown {
		t.Error("up before the login has shown that the client certificate is accepted")
	}
	trace.Authenticated(someClient())
	if probe := w.Prober.Snapshot(); probe.State != health.ProbeUp {
		t.Errorf("after a login: %+v", probe)
	}
	trace.Ended(someClient(), pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK})
	w.wantMetrics(t, map[string]string{`pgorigin_upstream_connect_duration_seconds_count{origin="default",phase="login"}`: "1"})

	rejected := &tlsorigin.Error{Kind: tlsorigin.ReasonClientCertRejected, Addr: "db:6432", Text: "unknown CA"}
	end(pgwire.SessionResult{Phase: pgwire.PhaseAuth, Reason: "client_cert_rejected", Err: rejected})
	if probe := w.Prober.Snapshot(); probe.Failures != 1 {
		t.Errorf("after a rejected client certificate: %+v", probe)
	}
	end(pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: "upstream_gone", Err: &tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamGone}})
	cancel := someClient()
	cancel.Cancel = true
	trace.Accepted(cancel)
	trace.Ended(cancel, pgwire.SessionResult{Phase: pgwire.PhaseDial, Reason: "upstream_refused", Err: refused})
	if probe := w.Prober.Snapshot(); probe.Problem.Reason != "client_cert_rejected" {
		t.Errorf("an established session, or a cancel request, was taken for a try: %+v", probe)
	}
	var o health.OriginSnapshot
	w.record.Describe(&o)
	if len(o.Failures) != 3 || o.Sessions.Open != 0 || o.Sessions.Total != 5 || o.Cancels.UnknownKey != 1 {
		t.Errorf("status is %+v", o)
	}
	for _, f := range o.Failures {
		if strings.Contains(f.Text, "secret") {
			t.Errorf("a cause that is for the log alone is shown: %q", f.Text)
		}
	}
}

// Leaves do not know one another, so both have the words.
func TestClosersAreThoseOfMetrics(t *testing.T) {
	for got, want := range map[pgwire.Closer]string{
		pgwire.ClosedByClient: metrics.ClosedByClient, pgwire.ClosedByUpstream: metrics.ClosedByUpstream, pgwire.ClosedByPgorigin: metrics.ClosedByPgorigin,
	} {
		if string(got) != want {
			t.Errorf("%q is %q in metrics", got, want)
		}
	}
}

// A problem is logged once, and again when it is another one, after an hour, and when somebody asks.
func TestReloadProblemsAreNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		failing := func(text string) error {
			return errors.Join(&tlsorigin.ConfigError{Field: "CAFile", Value: "/ca.crt", Err: errors.New(text)})
		}
		changed := tlsorigin.Reloaded{
			Changed: true, Files: []string{"/ca.crt"}, RootsAdded: make([]string, 12), Client: "c1",
			RootsNotAfter: time.Unix(1_900_000_000, 0), Warnings: []tlsorigin.Warning{{Field: "CAFile", Text: "is odd"}},
		}
		for _, step := range []struct {
			after time.Duration
			found tlsorigin.Reloaded
			err   error
			lines string // messages, by their first words
		}{
			{0, tlsorigin.Reloaded{}, nil, ""},
			{30 * time.Second, tlsorigin.Reloaded{}, failing("is empty"), "reload failed"},
			{30 * time.Second, tlsorigin.Reloaded{}, failing("is empty"), ""},
			{30 * time.Second, tlsorigin.Reloaded{}, failing("is a directory"), "reload failed"},
			{time.Hour - time.Second, tlsorigin.Reloaded{}, failing("is a directory"), ""},
			{time.Second, tlsorigin.Reloaded{}, failing("is a directory"), "reload failed"},
			{time.Second, tlsorigin.Reloaded{}, nil, "the certificate files are in order again"},
			{time.Second, tlsorigin.Reloaded{}, nil, ""},
			{time.Second, tlsorigin.Reloaded{}, failing("is a directory"), "reload failed"},
			{time.Second, changed, nil, "reloaded, configuration warning"},
		} {
			time.Sleep(step.after)
			w.reloaded(step.found, step.err)
			var lines []string
			for _, entry := range w.logs.TakeAll() {
				message, _, _ := strings.Cut(entry.Message, ", ")
				lines = append(lines, message)
				if text, _ := entry.ContextMap()["error"].(string); step.err != nil && !strings.HasPrefix(text, "PGORIGIN_TLS_CA_FILE: saw \"/ca.crt\": is ") {
					t.Errorf("error is %q", text)
				}
				if sums, ok := entry.ContextMap()["ca_added"].([]any); ok && (len(sums) != maxFingerprints+1 || sums[maxFingerprints] != "and 4 more") {
					t.Errorf("ca_added is %q", sums)
				}
			}
			if got := strings.Join(lines, ", "); got != step.lines {
				t.Errorf("after %+v: %q, want %q", step, got, step.lines)
			}
		}
		w.reloaded(tlsorigin.Reloaded{}, failing("is empty"))
		w.reloads.requested()
		w.reloaded(tlsorigin.Reloaded{}, failing("is empty"))
		if n := len(w.logs.TakeAll()); n != 2 {
			t.Errorf("%d lines, want 2", n)
		}
		checkReloadFailing(t, w)
	})
}

// checkReloadFailing looks at what is left of the steps of TestReloadProblemsAreNotRepeated.
func checkReloadFailing(t *testing.T, w watched) {
	t.Helper()
	if note := w.reloads.note(); !strings.Contains(note, "stay in force since 2000-01-01T01:01:34Z: PGORIGIN_TLS_CA_FILE") {
		t.Errorf("note is %q", note)
	}
	w.wantMetrics(t, map[string]string{
		`pgorigin_tls_reloads_total{origin="default",result="ok"}`:                         "1",
		`pgorigin_tls_reloads_total{origin="default",result="unchanged"}`:                  "3",
		`pgorigin_tls_reloads_total{origin="default",result="error"}`:                      "8",
		`pgorigin_tls_reload_failing{origin="default"}`:                                    "1",
		`pgorigin_tls_certificate_not_after_timestamp_seconds{origin="default",role="ca"}`: "1.9e+09",
	})
}

func certs(leaf *tlstest.Pair, ca *tlstest.CA) []*x509.Certificate {
	return []*x509.Certificate{leaf.Leaf, ca.Cert}
}

// Each certificate is mentioned once a day, whoever looks how often.
func TestExpiryIsMentionedDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		ca := tlstest.NewCA("Root", tlstest.P256)
		ending := func(name string, left time.Duration) *tlstest.Pair {
			return ca.Issue(tlstest.Leaf{CommonName: name, NotBefore: time.Now().Add(-80 * 24 * time.Hour), NotAfter: time.Now().Add(left)})
		}
		client, server := ending("client", 49*time.Hour), ending("server", 10*24*time.Hour)
		leftover := ending("leftover", -time.Hour)
		mount, err := tlstest.NewMount(filepath.Join(t.TempDir(), "secret"), map[string][]byte{
			"ca.crt": append(ca.PEM(), leftover.CertPEM()...), "tls.crt": client.CertPEM(), "tls.key": client.KeyPEM(),
			// The older list is in force for longer, and is no excuse.
			"crl.pem": tlstest.CRLPEM(ca.CRL(tlstest.CRL{NextUpdate: time.Now().Add(24 * time.Hour)}),
				ca.CRL(tlstest.CRL{ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: time.Now().Add(480 * time.Hour)})),
		})
		if err != nil {
			t.Fatal(err)
		}
		dialer, err := tlsorigin.NewDialer(tlsorigin.Config{
			Addrs: []string{"db.test:5432"}, CAFile: mount.Path("ca.crt"), CertFile: mount.Path("tls.crt"), KeyFile: mount.Path("tls.key"),
			CRLFile: mount.Path("crl.pem"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer dialer.Close()
		w.Loaded(dialer)
		state := verifiedState()
		state.VerifiedChains = append(state.VerifiedChains, certs(server, ca), certs(ending("cross-signed", time.Hour), ca))
		look := func() (seen []string) {
			w.attempt(tlsorigin.Attempt{Resolved: &net.TCPAddr{}, State: state})
			w.reloaded(tlsorigin.Reloaded{}, nil)
			for _, entry := range w.logs.TakeAll() {
				if entry.Message == "revocation list has run out" {
					seen = append(seen, "list "+entry.Level.String())
				}
				if role, ok := entry.ContextMap()["role"].(string); ok {
					seen = append(seen, role+" "+entry.Level.String()+" "+strings.TrimPrefix(entry.Message, "certificate "))
				}
			}
			return seen
		}
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{0, "upstream warn expires soon, client error expires soon"},
			{23 * time.Hour, ""},
			{time.Hour + time.Second, "upstream warn expires soon, list warn, client error expires soon"},
			{25*time.Hour + time.Second, "upstream warn expires soon, list warn, client error has expired"},
		} {
			time.Sleep(step.after)
			if got := strings.Join(look(), ", "); got != step.want {
				t.Errorf("after %v: %q, want %q", step.after, got, step.want)
			}
		}
	})
}

func TestSparesAreCountedAndLogged(t *testing.T) {
	w := newWatched()
	trace := w.SparesTrace()
	trace.Used(spares.Hit)
	trace.Used(spares.Hit)
	trace.Used(spares.Dead)
	trace.Discarded(spares.EndAged, 22*time.Second, nil)
	trace.Discarded(spares.EndDead, 3*time.Second, errors.New("the upstream closed the connection"))
	trace.Paused(&tlsorigin.Error{Kind: tlsorigin.ReasonUpstreamRefused, Addr: "db:6432", Text: "refused"}, 2*time.Second)
	w.metrics.WarmSpares(config.DefaultOrigin, func() int { return 3 })
	w.wantMetrics(t, map[string]string{
		`pgorigin_warm_spares_ready{origin="default"}`:                             "3",
		`pgorigin_warm_spare_checkouts_total{origin="default",result="hit"}`:       "2",
		`pgorigin_warm_spare_checkouts_total{origin="default",result="miss"}`:      "0",
		`pgorigin_warm_spare_checkouts_total{origin="default",result="dead"}`:      "1",
		`pgorigin_warm_spares_discarded_total{cause="age",origin="default"}`:       "1",
		`pgorigin_warm_spares_discarded_total{cause="dead",origin="default"}`:      "1",
		`pgorigin_warm_spares_discarded_total{cause="unhealthy",origin="default"}`: "0",
	})
	lines := w.logs.TakeAll()
	for _, line := range lines {
		if line.Level != zapcore.DebugLevel {
			t.Errorf("%s at level %v", line.Message, line.Level)
		}
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines, want one for the dead hit, for each end and for the pause", len(lines))
	}
	if dead := lines[2].ContextMap(); dead["cause"] != "dead" || dead["age"] != 3.0 || dead["error"] != "the upstream closed the connection" {
		t.Errorf("line of a dead spare: %v", dead)
	}
}

// TestSpareWordsAreThoseOfMetrics: one that health does not know would be counted under another name.
func TestSpareWordsAreThoseOfMetrics(t *testing.T) {
	w := newWatched()
	for _, use := range spares.Uses() {
		if w.metric(`pgorigin_warm_spare_checkouts_total{origin="default",result="`+string(use)+`"}`) != "0" {
			t.Errorf("no series for %s", use)
		}
	}
	for _, end := range spares.Ends() {
		if w.metric(`pgorigin_warm_spares_discarded_total{cause="`+string(end)+`",origin="default"}`) != "0" {
			t.Errorf("no series for %s", end)
		}
	}
}

// Whatever a certificate says, the status has nothing in it that could take over a terminal, and no end of it.
func TestHostileCertificateInTheStatus(t *testing.T) {
	w := newWatched()
	cert := &x509.Certificate{
		Subject:  pkix.Name{CommonName: hostile + strings.Repeat("a", 5000), Organization: []string{hostile}},
		Issuer:   pkix.Name{Organization: []string{hostile, strings.Repeat("b", 5000)}},
		DNSNames: []string{hostile, "<script>alert(1)</script>", strings.Repeat("c", 5000), "d", "e", "f", "g"},
		NotAfter: time.Now().Add(time.Hour),
	}
	state := verifiedState()
	state.VerifiedChains = [][]*x509.Certificate{{cert}}
	w.DialTrace().Attempt(tlsorigin.Attempt{Addr: "db:6432", Resolved: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 6432}, State: state})
	verified := w.latest.describe(time.Now())
	if len(verified.Chain) != 1 {
		t.Fatalf("chain is %+v", verified.Chain)
	}
	c := verified.Chain[0]
	for _, text := range append([]string{c.Subject, c.Issuer, w.expiryNote()}, c.Names...) {
		if text == "" || len(text) > 700 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("text is %q", text)
		}
	}
	if len(c.Names) > 6 {
		t.Errorf("%d names", len(c.Names))
	}
	if text, err := json.Marshal(verified); err != nil || strings.Contains(string(text), "<script>") {
		t.Errorf("JSON is %s, %v", text, err)
	}
}

func TestExpiryNote(t *testing.T) {
	now := time.Now()
	cert := func(name string, left time.Duration) *x509.Certificate {
		return &x509.Certificate{Raw: []byte(name), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-365 * 24 * time.Hour), NotAfter: now.Add(left).UTC()}
	}
	day := 24 * time.Hour
	for name, row := range map[string]struct {
		roots, client, upstream []*x509.Certificate
		lists                   time.Time
		want                    []string
	}{
		"all is well":    {roots: []*x509.Certificate{cert("ca", 300*day)}, client: []*x509.Certificate{cert("app", 90*day)}},
		"lists in force": {lists: now.Add(time.Hour)},
		"a list that has run out": {lists: now.Add(-time.Hour).UTC(), want: []string{
			"the revocation list has run out at " + now.Add(-time.Hour).UTC().Format(time.RFC3339), "PGORIGIN_TLS_CRL_FILE",
		}},
		"a leftover beside a valid": {roots: []*x509.Certificate{cert("old", -day), cert("new", 300*day)}},
		"an expired CA":             {roots: []*x509.Certificate{cert("old", -day)}, want: []string{`ca certificate "old" has expired `}},
		"our own": {client: []*x509.Certificate{cert("app", -day), cert("intermediate", 300*day)}, want: []string{
			`client certificate "app" has expired ` + now.Add(-day).UTC().Format(time.RFC3339),
		}},
		"the server's": {upstream: []*x509.Certificate{cert("db", 2*day), cert("ca", 300*day)}, want: []string{`upstream certificate "db" expires `}},
		"several": {client: []*x509.Certificate{cert("app", day)}, upstream: []*x509.Certificate{cert("db", day)}, want: []string{
			`client certificate "app" expires `, `; upstream certificate "db" expires `,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched()
			w.expiry.own = func() (roots, client []*x509.Certificate) { return row.roots, row.client }
			w.expiry.lists = func() time.Time { return row.lists }
			w.latest.chain = row.upstream
			note := w.expiryNote()
			if (note == "") != (row.want == nil) {
				t.Errorf("note is %q", note)
			}
			for _, want := range row.want {
				if !strings.Contains(note, want) {
					t.Errorf("note is %q, want %q in it", note, want)
				}
			}
		})
	}
}

// Reloads that found something are remembered, in words.
func TestReloadHistory(t *testing.T) {
	w := newWatched()
	ca := tlstest.NewCA("next", tlstest.P256)
	trace := w.DialTrace()
	trace.Reloaded(tlsorigin.Reloaded{}, nil) // nothing new
	trace.Reloaded(tlsorigin.Reloaded{Changed: true, Files: []string{"/etc/ca.crt"}, RootsAdded: []string{tlsorigin.Fingerprint(ca.Cert)}}, nil)
	wrong := &tlsorigin.ConfigError{Field: "CAFile", Value: "/etc/ca.crt", Err: errors.New("is empty")}
	for range 3 { // as every interval says, until the file is another one
		trace.Reloaded(tlsorigin.Reloaded{Files: []string{"/etc/ca.crt"}}, wrong)
	}
	trace.Reloaded(tlsorigin.Reloaded{}, nil)
	var o health.OriginSnapshot
	w.record.Describe(&o)
	var got []string
	for _, r := range o.Reloads {
		got = append(got, r.Result+": "+r.Text)
	}
	want := []string{
		"ok: the files hold what is in force again",
		`error: PGORIGIN_TLS_CA_FILE: saw "/etc/ca.crt": is empty; give a readable PEM file with the CA certificates that the upstream's certificate chains to`,
		"ok: read /etc/ca.crt; CA certificates: 1 new, 0 gone",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("reloads are %q,\nwant %q", got, want)
	}
}
