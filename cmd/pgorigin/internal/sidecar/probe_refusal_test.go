package sidecar

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// fickleUpstream is a verified upstream that refuses every login while refusal is set.
type fickleUpstream struct {
	refusal  atomic.Pointer[[]byte] // an ErrorResponse; nil: it asks for a password
	startups atomic.Int32           // startup packets that it has read
	answers  atomic.Int32           // bytes behind them
}

func (u *fickleUpstream) serve(conn *tls.Conn) {
	defer conn.Close()
	if cmdtest.ReadStartup(conn) != nil {
		return
	}
	u.startups.Add(1)
	if said := u.refusal.Load(); said != nil {
		conn.Write(*said)
		return
	}
	conn.Write(pgtest.Message('R', "\x00\x00\x00\x03"))
	n, _ := io.Copy(io.Discard, conn)
	u.answers.Add(int32(n))
}

// A server that starts proves its identity and refuses every login. The session that finds out makes the
// upstream down, a probe agrees, and the next one sees that the server has started.
func TestProbeOfAServerThatRefusesEverybody(t *testing.T) {
	upstream := new(fickleUpstream)
	r := start(t, append(cmdtest.StartUpstreamOf(t, upstream.serve), "PGORIGIN_UPSTREAM_WAIT=1s")...)
	o := r.sidecar.origins[0]
	if problem := o.probe(t.Context()); problem != nil || upstream.startups.Load() != 0 {
		t.Fatalf("the first probe says %+v after %d startup packets", problem, upstream.startups.Load())
	}

	starting := pgtest.Message('E', "SFATAL\x00C57P03\x00Mthe database system is starting up\x00RProcessStartupPacket\x00\x00")
	upstream.refusal.Store(&starting)
	client, err := net.Dial("tcp", o.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write(pgtest.Startup("user", "app", "database", "shop")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != string(starting) {
		t.Fatalf("the client reads %q, %v", got, err)
	}
	line := r.Stderr.Wait(t, "session ended")
	probe := r.status(t).Origins[0].Probe
	if probe.State != health.ProbeDown || probe.Problem == nil || probe.Problem.Reason != line["reason"] || line["reason"] != "server_starting" {
		t.Fatalf("after the session the probe is %+v, problem %+v; the line is %v", probe, probe.Problem, line)
	}
	if _, metrics := r.Get(t, "/metrics"); !strings.Contains(metrics, `pgorigin_upstream_up{origin="default"} 0`) {
		t.Error("the metric says that the upstream is up")
	}

	before := upstream.startups.Load()
	if problem := o.probe(t.Context()); problem == nil || problem.Reason != "server_starting" || upstream.startups.Load() != before+1 {
		t.Errorf("the probe says %+v", problem)
	}
	upstream.refusal.Store(nil)
	if problem := o.probe(t.Context()); problem != nil || upstream.answers.Load() != 0 {
		t.Errorf("the server has started, and the probe says %+v and sent %d bytes", problem, upstream.answers.Load())
	}
	wrong := pgtest.ErrorResponse("28P01", "password authentication failed")
	upstream.refusal.Store(&wrong)
	if problem := o.probe(t.Context()); problem != nil {
		t.Errorf("one account is refused, and the probe says %+v", problem)
	}
	if code, _ := r.Get(t, "/livez"); code != http.StatusOK {
		t.Errorf("/livez = %d", code)
	}
}
