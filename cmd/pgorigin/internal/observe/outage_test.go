package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

func refusedDial() *tlsorigin.Error {
	return &tlsorigin.Error{
		Kind: tlsorigin.ReasonUpstreamRefused, Addr: "db:6432", Text: "TCP connection to 192.0.2.7:6432 refused",
		Err: errors.New("connect: refused"),
	}
}

// TestOutage: an outage is one line at its beginning and one at its end, however many clients wait.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		w.settings.Upstream.Wait = 14 * time.Second
		w.Prober.Observed(nil, 0)
		trace := w.OutageTrace()
		trace.Away(refusedDial())
		if p := w.Prober.Snapshot(); p.Problem == nil || p.Problem.Reason != "upstream_refused" {
			t.Errorf("the status does not see the outage at once: %+v", p)
		}
		for range 60 {
			time.Sleep(time.Second)
			trace.Probed(refusedDial(), refusedDial())
			trace.Probed(nil, refusedDial()) // verified, and it takes no login
		}
		if p := w.Prober.Snapshot(); p.State != health.ProbeDown {
			t.Errorf("after a minute in which nobody got through, the upstream is %s", p.State)
		}
		trace.Waited(14*time.Second, refusedDial())
		trace.Waited(2*time.Second, fmt.Errorf("wait: %w", context.Canceled))
		for range 40 {
			trace.Waited(time.Second, nil)
		}
		trace.Back(time.Minute, 60)
		for range 60 {
			trace.Waited(3*time.Second, nil)
		}
		if p := w.Prober.Snapshot(); p.State != health.ProbeUp {
			t.Errorf("after the outage, the upstream is %s", p.State)
		}
		lines := w.logs.TakeAll()
		if len(lines) != 2 {
			t.Fatalf("%d lines: %v", len(lines), lines)
		}
		away, back := lines[0].ContextMap(), lines[1].ContextMap()
		if lines[0].Level != zapcore.WarnLevel || away["reason"] != "upstream_refused" || away["wait_limit"] != 14.0 ||
			away["cure"] == nil || away["error"] == nil {
			t.Errorf("%v %v", lines[0], away)
		}
		if lines[1].Level != zapcore.InfoLevel || back["lasted"] != 60.0 || back["clients_waited"] != int64(102) ||
			back["clients_failed"] != int64(1) {
			t.Errorf("%v %v", lines[1], back)
		}
		w.wantMetrics(t, map[string]string{
			`pgorigin_upstream_wait_duration_seconds_count{origin="default",result="served"}`:         "100",
			`pgorigin_upstream_wait_duration_seconds_count{origin="default",result="failed"}`:         "1",
			`pgorigin_upstream_wait_duration_seconds_count{origin="default",result="aborted"}`:        "1",
			`pgorigin_upstream_wait_probes_total{origin="default",reason="ok"}`:                       "60",
			`pgorigin_upstream_wait_probes_total{origin="default",reason="upstream_refused"}`:         "60",
			`pgorigin_upstream_wait_probes_total{origin="default",reason="cert_name_mismatch"}`:       "0",
			`pgorigin_upstream_wait_duration_seconds_bucket{origin="default",result="served",le="1"}`: "40",
		})
		w.Flush()
	})
}

// TestProberHearsOfAnOutage: the status has one reason, the latest one, and many probes do not count more.
func TestProberHearsOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		trace := w.OutageTrace()
		reason := func() string { return w.Prober.Snapshot().Problem.Reason }
		trace.Away(refusedDial())
		starting := &pgwire.Error{Kind: pgwire.ReasonServerStarting, Text: "the database system is starting up"}
		trace.Probed(nil, starting)
		if got := reason(); got != "server_starting" {
			t.Errorf("the status says %q when the upstream starts", got)
		}
		told := w.Prober.Snapshot().LastTry
		for range 9 {
			time.Sleep(100 * time.Millisecond)
			trace.Probed(nil, starting)
		}
		if again := w.Prober.Snapshot().LastTry; !again.Equal(told) {
			t.Errorf("the Prober was told the same again after %v", again.Sub(told))
		}
		time.Sleep(100 * time.Millisecond)
		trace.Probed(nil, starting)
		if again := w.Prober.Snapshot().LastTry; again.Sub(told) != time.Second {
			t.Errorf("the Prober was told the same again after %v", again.Sub(told))
		}
		trace.Back(time.Second, 0)
		trace.Probed(refusedDial(), nil) // late
		if p := w.Prober.Snapshot(); p.State != health.ProbeUp || p.Problem != nil {
			t.Errorf("after the outage, the status is %+v", p)
		}
		trace.Away(refusedDial()) // again, for a reason that an outage had before
		if got := reason(); got != "upstream_refused" {
			t.Errorf("the status says %q of another outage", got)
		}
		w.Flush()
	})
}

// TestForgottenOutage: all clients have left. Nobody says that the upstream is back.
func TestForgottenOutage(t *testing.T) {
	w := newWatched()
	trace := w.OutageTrace()
	trace.Away(refusedDial())
	trace.Waited(3*time.Second, context.Canceled)
	trace.Forgotten(3 * time.Second)
	trace.Probed(nil, nil)
	if p := w.Prober.Snapshot(); p.Problem == nil || p.Problem.Reason != "upstream_refused" {
		t.Errorf("the status is %+v", p)
	}
	lines := w.logs.TakeAll()
	if len(lines) != 2 || lines[1].Message != kindUnknown || lines[1].ContextMap()["lasted"] != 3.0 ||
		lines[1].ContextMap()["clients_waited"] != int64(1) {
		t.Errorf("the lines are %v", lines)
	}
}

func TestNoteOfAnOutage(t *testing.T) {
	wait := newWatched().Waiting(2, time.Now().Add(-3*time.Second), refusedDial(), true)
	const want = "away for 3s, 2 clients wait: " +
		"upstream db:6432: TCP connection to 192.0.2.7:6432 refused (upstream_refused). "
	if note := wait.Note(time.Now()); !strings.HasPrefix(note, want) {
		t.Errorf("the note is %q", note)
	}
	wait.Waiting = 0
	const left = "away for 3s, no client waits, and the next one tries it: upstream db:6432"
	if note := wait.Note(time.Now()); !strings.HasPrefix(note, left) {
		t.Errorf("the note is %q", note)
	}
}

// TestHopelessOutage: the clients that wait get an error before their time is over.
func TestHopelessOutage(t *testing.T) {
	w := newWatched()
	trace := w.OutageTrace()
	trace.Away(refusedDial())
	wrong := &tlsorigin.Error{Kind: tlsorigin.ReasonCertExpired, Addr: "db:6432", Text: "its certificate has expired"}
	trace.Hopeless(wrong, 2*time.Second, 7)
	for range 7 {
		trace.Waited(2*time.Second, wrong)
	}
	if p := w.Prober.Snapshot(); p.Problem == nil || p.Problem.Reason != "cert_expired" {
		t.Errorf("%+v", p)
	}
	line := w.logs.TakeAll()[1]
	fields := line.ContextMap()
	if line.Level != zapcore.WarnLevel || fields["reason"] != "cert_expired" || fields["cure"] == nil ||
		fields["clients_waited"] != int64(7) || fields["clients_failed"] != int64(7) {
		t.Errorf("%v %v", line, fields)
	}
}

// TestFlappingFillsNoLog: what goes away and comes back every moment has a few lines a minute.
func TestFlappingFillsNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		line, dial := w.OutageTrace(), w.DialTrace()
		good := tlsorigin.AddressStatus{Addr: "db:6432", Resolved: "192.0.2.7:6432", State: tlsorigin.AddressGood}
		bad := good
		bad.State, bad.Err = tlsorigin.AddressRefused, refusedDial()
		for range 200 {
			line.Away(refusedDial())
			dial.AddressChanged(good, bad)
			time.Sleep(50 * time.Millisecond)
			line.Back(50*time.Millisecond, 0)
			dial.AddressChanged(bad, good)
		}
		if n := w.logs.Len(); n > 3*logBurst {
			t.Errorf("%d lines in %v", n, 10*time.Second)
		}
		time.Sleep(logPeriod)
		synctest.Wait()
		suppressed := w.logs.FilterMessage("repeated log lines suppressed").All()
		if len(suppressed) != 3 {
			t.Errorf("%d lines say that others were left out", len(suppressed))
		}
	})
}

func TestAddressLines(t *testing.T) {
	for _, row := range []struct {
		before, after tlsorigin.AddressState
		err           *tlsorigin.Error
		away          bool
		level         zapcore.Level
	}{
		{tlsorigin.AddressUnknown, tlsorigin.AddressGood, nil, false, zapcore.DebugLevel},
		{tlsorigin.AddressUnknown, tlsorigin.AddressSilent, refusedDial(), false, zapcore.WarnLevel},
		{tlsorigin.AddressGood, tlsorigin.AddressRefused, refusedDial(), false, zapcore.WarnLevel},
		{tlsorigin.AddressRefused, tlsorigin.AddressGood, nil, false, zapcore.InfoLevel},
		{tlsorigin.AddressRefused, tlsorigin.AddressGood, nil, true, zapcore.InfoLevel},
		{tlsorigin.AddressGood, tlsorigin.AddressNotReady, refusedDial(), false, zapcore.WarnLevel},
		{tlsorigin.AddressGood, tlsorigin.AddressNotReady, refusedDial(), true, zapcore.DebugLevel},
		{tlsorigin.AddressNotReady, tlsorigin.AddressGood, nil, true, zapcore.DebugLevel},
		{tlsorigin.AddressRefused, tlsorigin.AddressUnknown, nil, false, zapcore.DebugLevel},
	} {
		w := newWatched()
		status := func(s tlsorigin.AddressState) tlsorigin.AddressStatus {
			return tlsorigin.AddressStatus{Addr: "db:6432", Resolved: "192.0.2.7:6432", State: s, Err: row.err}
		}
		if row.away {
			w.OutageTrace().Away(refusedDial())
			w.logs.TakeAll()
		}
		w.DialTrace().AddressChanged(status(row.before), status(row.after))
		line := w.logs.TakeAll()[0]
		fields := line.ContextMap()
		if line.Level != row.level || fields["state"] != string(row.after) || fields["before"] != string(row.before) ||
			fields["upstream"] != "192.0.2.7:6432" || fields["upstream_addr"] != "db:6432" ||
			(fields["reason"] == "upstream_refused") != (row.err != nil) {
			t.Errorf("%s to %s: %v %v", row.before, row.after, line, fields)
		}
	}
}

// TestDescribeAddresses: an address is put off only while another one is good.
func TestDescribeAddresses(t *testing.T) {
	w, due := newWatched(), time.Now().Add(time.Minute)
	bad := tlsorigin.AddressStatus{Addr: "db:6432", Resolved: "192.0.2.7:6432", State: tlsorigin.AddressSilent, Err: refusedDial(), Due: due}
	good := tlsorigin.AddressStatus{Addr: "db:6432", Resolved: "192.0.2.8:6432", State: tlsorigin.AddressGood, Verified: time.Now()}
	alone := w.DescribeAddresses([]tlsorigin.AddressStatus{bad})
	if a := alone[0]; !a.NextTry.IsZero() || a.Problem == nil || a.State != health.AddressSilent || a.Upstream != "db:6432" {
		t.Errorf("%+v", a)
	}
	both := w.DescribeAddresses([]tlsorigin.AddressStatus{good, bad})
	if both[0].Problem != nil || both[0].Verified.IsZero() || !both[1].NextTry.Equal(due) || both[1].NextTry.Location() != time.UTC {
		t.Errorf("%+v", both)
	}
	if none := w.DescribeAddresses(nil); none == nil {
		t.Error("no addresses are null in JSON")
	}
}

// TestAddressStates: the two lists of states are one.
func TestAddressStates(t *testing.T) {
	want := []string{
		health.AddressUnknown, health.AddressGood, health.AddressRefused, health.AddressUnreachable, health.AddressSilent,
		health.AddressFailing, health.AddressNotReady,
	}
	if got := AddressStates(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tlsorigin has %v, health has %v", got, want)
	}
}
