package observe

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/golden"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// logSomeSessions writes what people see most, by a clock that begins with the year 2000: the start, a session, a cancel
// request, one that met a wrong certificate, and an upstream that is down while the application tries on and on.
func logSomeSessions(t *testing.T, format config.LogFormat) string {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		log := NewLogger(&out, format, zapcore.InfoLevel, nil)
		s, _, problems := config.Load([]string{"PGORIGIN_UPSTREAM_ADDR=db.internal", "PGORIGIN_TLS_CA_PEM=-----BEGIN"})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		// Three of them, so that a new variable does not change the golden files.
		settings := slices.DeleteFunc(s.Settings(), func(s config.Setting) bool {
			return !slices.Contains([]string{"UPSTREAM_ADDR", "TLS_CA_PEM", "TLS_VERIFY"}, s.Word)
		})
		log.Info("starting", zap.String("version", "v1.2.3"), zap.Object("settings", LoggedSettings(settings)))
		w := newWatched()
		w.log = log
		trace, info := w.SessionTrace(), someClient()
		info.Accepted = time.Now()
		time.Sleep(15 * time.Millisecond)
		trace.UpstreamReady(info, securedConn{state: verifiedState()}, 10*time.Millisecond)
		time.Sleep(5 * time.Millisecond)
		trace.Authenticated(info)
		time.Sleep(time.Second)
		trace.Ended(info, pgwire.SessionResult{
			Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK, Duration: time.Since(info.Accepted), ToUpstream: 100, ToClient: 2000,
		})
		cancel := pgwire.SessionInfo{ID: 8, Client: info.Client, Accepted: time.Now(), Cancel: true, CancelKnown: true}
		time.Sleep(10 * time.Millisecond)
		trace.UpstreamReady(cancel, securedConn{state: verifiedState()}, 10*time.Millisecond)
		time.Sleep(time.Millisecond)
		trace.Ended(cancel, pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK, Duration: 11 * time.Millisecond, ToUpstream: 16})
		info.ID = 9
		trace.Ended(info, pgwire.SessionResult{
			Phase: pgwire.PhaseDial, Reason: pgwire.Reason(tlsorigin.ReasonCertExpired), SQLState: "08001", Duration: 20 * time.Millisecond,
			Err: &tlsorigin.Error{Kind: tlsorigin.ReasonCertExpired, Addr: "db:6432", Text: "its certificate has expired", Err: errors.New("x509: long ago")},
		})
		refused := &pgwire.Error{
			Kind: pgwire.ReasonAuthRejected, Case: pgwire.CaseNoDatabase, Text: "the upstream refused the login (…)",
			Server: &pgwire.ServerError{SQLState: "3D000", Message: `database "shop" does not exist`},
		}
		trace.Ended(info, pgwire.SessionResult{
			Phase: pgwire.PhaseAuth, Reason: refused.Kind, SQLState: "3D000", Server: refused.Server, Err: refused,
		})
		for info.ID = 10; info.ID < 10+3*logBurst; info.ID++ {
			trace.Ended(info, pgwire.SessionResult{Phase: pgwire.PhaseDial, Reason: "upstream_refused", SQLState: "57P03"})
		}
		time.Sleep(logPeriod)
		synctest.Wait()
	})
	return out.String()
}

// TestLogOfSessions is the shape of the log, for people who write dashboards.
func TestLogOfSessions(t *testing.T) {
	golden.Compare(t, "testdata/log_json.golden", logSomeSessions(t, config.FormatJSON))
	local := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3}`) // in the time zone of whoever reads it
	golden.Compare(t, "testdata/log_console.golden", local.ReplaceAllString(logSomeSessions(t, config.FormatConsole), "hh:mm:ss.mmm"))
}

// TestAWaitHasItsField: the wait for the upstream is part of the way to it, and no time of the upstream's.
func TestAWaitHasItsField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		trace, info := w.SessionTrace(), someClient()
		info.Accepted, info.Waited = time.Now(), 9*time.Second
		time.Sleep(9*time.Second + 30*time.Millisecond)
		trace.UpstreamReady(info, securedConn{state: verifiedState()}, 10*time.Millisecond)
		trace.Authenticated(info)
		trace.Ended(info, pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK, Duration: time.Since(info.Accepted)})
		fields := w.logs.TakeAll()[0].ContextMap()
		if fields["waited"] != 9.0 || fields["startup_duration"] != 0.02 || fields["dial_duration"] != 9.01 {
			t.Errorf("fields are %v", fields)
		}
		if took := w.Prober.Snapshot().TookSeconds; took != 0.01 {
			t.Errorf("the upstream took %v seconds", took)
		}
	})
}

// TestADeadSpareIsOneSession: its upstream leg is there twice, it begins and ends once.
func TestADeadSpareIsOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		w.idle = NewIdleTimer(idleAfter)
		trace, info := w.SessionTrace(), someClient()
		info.Accepted = time.Now()
		time.Sleep(time.Millisecond)
		trace.UpstreamReady(info, securedConn{state: verifiedState()}, 0)
		time.Sleep(2 * time.Millisecond)
		trace.UpstreamReady(info, securedConn{state: verifiedState()}, time.Millisecond)
		trace.Authenticated(info)
		trace.Ended(info, pgwire.SessionResult{Phase: pgwire.PhaseRelay, Reason: pgwire.ReasonOK, Duration: 3 * time.Millisecond})
		fields := w.logs.TakeAll()[0].ContextMap()
		if fields["startup_duration"] != 0.001 || fields["dial_duration"] != 0.002 {
			t.Errorf("fields are %v", fields)
		}
		time.Sleep(idleAfter)
		wantIdle(t, w.idle, true)
	})
}
