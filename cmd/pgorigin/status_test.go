package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestStatusOfAnOrigin(t *testing.T) {
	r := start(t, append(startUpstream(t), "PGORIGIN_MAX_SESSIONS=20")...)
	before := r.status(t)
	if before.Version == "" || before.Go == "" || time.Since(before.StartedAt) > time.Minute || !before.Ready || !before.Live || !before.Started {
		t.Errorf("status is %+v", before)
	}
	fresh := before.Origins[0]
	if fresh.Verified != nil || fresh.Probe.State != health.ProbeUnknown || fresh.Probe.Active || len(fresh.Sessions.Minutes) != 1 {
		t.Errorf("before the first session: %+v", fresh)
	}
	client := r.login(t)
	o := r.status(t).Origins[0]
	if o.Name != "default" || !slices.Equal(o.Listen, []string{r.listen}) || len(o.Upstream) != 1 || o.Verify != "verify-full" || o.MinVersion != "1.2" {
		t.Errorf("origin is %+v", o)
	}
	if s := o.Sessions; s.Open != 1 || s.Total != 1 || s.Limit != 20 || s.Minutes[len(s.Minutes)-1].Opened != 1 {
		t.Errorf("sessions are %+v", s)
	}
	if v := o.Verified; v == nil || v.Version != "1.3" || v.Group != "X25519MLKEM768" || !v.PostQuantum || v.Cipher == "" ||
		v.Upstream != o.Upstream[0] || v.Address != o.Upstream[0] || len(v.Chain) != 2 {
		t.Fatalf("verified is %+v", o.Verified)
	}
	root, leaf := o.Verified.Chain[0], o.Verified.Chain[1]
	if root.Subject != `"serve test"` || leaf.Issuer != `"serve test"` || !slices.Equal(leaf.Names, []string{`"127.0.0.1"`}) ||
		leaf.Key != "ECDSA P-256" || len(leaf.SHA256) != 64 || leaf.NotAfter.IsZero() {
		t.Errorf("chain is %+v", o.Verified.Chain)
	}
	if len(o.Own) != 1 || o.Own[0].Role != health.RoleCA || o.Own[0].Subject != root.Subject || o.Own[0].DaysLeft != root.DaysLeft {
		t.Errorf("own certificates are %+v", o.Own)
	}
	if k := o.KeyExchange; len(k) != 1 || k[0].State != "negotiated" || k[0].Fallback != "" || k[0].Address != o.Verified.Address {
		t.Errorf("key exchange is %+v", k)
	}
	if o.Probe.State != health.ProbeUp || o.Probe.Active {
		t.Errorf("probe is %+v", o.Probe)
	}
	client.Send(pgtest.Terminate())
	client.ExpectEOF()
	_ = client.Close()
	r.stop()
	r.wantExit(t, exitOK)
}

// The status names neither users nor databases: whoever reaches the health port may read it.
func TestStatusNamesNoUsers(t *testing.T) {
	env := startUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + freeAddr(t)
	r := start(t, env...)
	client := r.connect(t)
	client.Send(pgtest.Startup("user", "alice", "database", "payroll", "application_name", "secretapp"))
	client.ExpectError("08001")
	_ = client.Close()
	r.stderr.wait(t, "session ended")
	if failures := r.status(t).Origins[0].Failures; len(failures) != 1 {
		t.Fatalf("failures are %+v", failures)
	}
	for _, path := range []string{"/", "/statusz", "/readyz?verbose", "/metrics"} {
		_, body := r.get(t, path)
		for _, never := range []string{"alice", "payroll", "secretapp"} {
			if strings.Contains(body, never) {
				t.Errorf("%s has %q:\n%s", path, never, body)
			}
		}
	}
	r.stop()
	r.wantExit(t, exitOK)
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
	w.dialTrace().Attempt(tlsorigin.Attempt{Addr: "db:6432", Resolved: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 6432}, State: state})
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
	trace := w.dialTrace()
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
