package sidecar

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestStatusOfAnOrigin(t *testing.T) {
	r := start(t, append(cmdtest.StartUpstream(t), "PGORIGIN_MAX_SESSIONS=20")...)
	before := r.status(t)
	if before.Version == "" || before.Go == "" || time.Since(before.StartedAt) > time.Minute || !before.Ready || !before.Live || !before.Started {
		t.Errorf("status is %+v", before)
	}
	fresh := before.Origins[0]
	if fresh.Verified != nil || fresh.Probe.State != health.ProbeUnknown || fresh.Probe.Active || len(fresh.Sessions.Minutes) != 1 {
		t.Errorf("before the first session: %+v", fresh)
	}
	client := r.Login(t)
	o := r.status(t).Origins[0]
	if o.Name != "default" || !slices.Equal(o.Listen, []string{r.Listen}) || len(o.Upstream) != 1 || o.Verify != "verify-full" || o.MinVersion != "1.2" {
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
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// The status names neither users nor databases: whoever reaches the health port may read it.
func TestStatusNamesNoUsers(t *testing.T) {
	env := cmdtest.StartUpstream(t)
	env[0] = "PGORIGIN_UPSTREAM_ADDR=" + cmdtest.FreeAddr(t)
	r := start(t, append(env, "PGORIGIN_UPSTREAM_WAIT=off")...)
	client := r.Connect(t)
	client.Send(pgtest.Startup("user", "alice", "database", "payroll", "application_name", "secretapp"))
	client.ExpectError("57P03")
	_ = client.Close()
	r.Stderr.Wait(t, "session ended")
	if failures := r.status(t).Origins[0].Failures; len(failures) != 1 {
		t.Fatalf("failures are %+v", failures)
	}
	for _, path := range []string{"/", "/statusz", "/readyz?verbose", "/metrics"} {
		_, body := r.Get(t, path)
		for _, never := range []string{"alice", "payroll", "secretapp"} {
			if strings.Contains(body, never) {
				t.Errorf("%s has %q:\n%s", path, never, body)
			}
		}
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// The first line says what is verified, and against which roots; the status says the same.
func TestStartLineSaysWhatIsVerified(t *testing.T) {
	env := cmdtest.StartUpstream(t)
	r := start(t, append(env, "PGORIGIN_TLS_MIN_VERSION=1.3", "PGORIGIN_TLS_PINS=sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")...)
	line := r.Stderr.Wait(t, "starting")
	roots, _ := json.Marshal(line["roots"])
	for _, want := range []string{"verify-full: chain and the name", "one of 1 pinned keys", "TLS 1.3 or later"} {
		if text, _ := line["verification"].(string); !strings.Contains(text, want) {
			t.Errorf("verification is %q, want %q in it", text, want)
		}
	}
	if !strings.Contains(string(roots), "PGORIGIN_TLS_CA_") || !strings.Contains(string(roots), "(1 certificate)") {
		t.Errorf("roots are %s", roots)
	}
	r.Stop()
	r.WantExit(t, cli.ExitOK)
}

// The status shows the limit that a client meets first, and its source.
func TestSessionLimit(t *testing.T) {
	const files, memory = "the limit of 64 open files", "the memory limit of 32 MiB"
	for _, row := range []struct {
		own   int
		plan  capacityPlan
		limit int
		from  string
	}{
		{0, capacityPlan{}, 0, ""},
		{20, capacityPlan{}, 20, "PGORIGIN_MAX_SESSIONS"},
		{0, capacityPlan{sessions: 300, from: memory}, 300, memory},
		{20, capacityPlan{sessions: 10, from: files}, 10, files},
		{5, capacityPlan{sessions: 10, from: files}, 5, "PGORIGIN_MAX_SESSIONS"},
	} {
		s := &Sidecar{plan: row.plan}
		limit, from := s.sessionLimit(&origin{settings: &config.Origin{MaxSessions: row.own}})
		if limit != row.limit || from != row.from {
			t.Errorf("MAX_SESSIONS=%d and %+v: %d from %q, want %d from %q", row.own, row.plan, limit, from, row.limit, row.from)
		}
	}
}
