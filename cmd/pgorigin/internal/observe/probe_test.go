package observe

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
)

// Which end of a session says that the upstream cannot be used.
func TestRefusalsThatConcernEverybody(t *testing.T) {
	for name, row := range map[string]struct {
		reason pgwire.Reason
		which  pgwire.Case
		phase  pgwire.Phase
		want   string
		server *pgwire.ServerError
	}{
		"starting":              {pgwire.ReasonServerStarting, "", pgwire.PhaseAuth, health.ProbeDown, nil},
		"a standby":             {pgwire.ReasonServerStarting, pgwire.CaseHotStandbyOff, pgwire.PhaseAuth, health.ProbeDown, nil},
		"full":                  {pgwire.ReasonServerFull, "", pgwire.PhaseAuth, health.ProbeDown, nil},
		"full for one role":     {pgwire.ReasonServerFull, pgwire.CaseRoleFull, pgwire.PhaseAuth, health.ProbeUnknown, nil},
		"full for one database": {pgwire.ReasonServerFull, pgwire.CaseDatabaseFull, pgwire.PhaseAuth, health.ProbeUnknown, nil},
		"stopping":              {pgwire.ReasonUpstreamShutdown, "", pgwire.PhaseAuth, health.ProbeDown, nil},
		"ended by an admin":     {pgwire.ReasonUpstreamShutdown, "", pgwire.PhaseRelay, health.ProbeUnknown, nil},
		"a pool that is full":   {pgwire.ReasonPoolTimeout, "", pgwire.PhaseAuth, health.ProbeUnknown, nil},
		"a wrong password":      {pgwire.ReasonAuthRejected, pgwire.CaseWrongPassword, pgwire.PhaseAuth, health.ProbeUnknown, nil},
		"full, behind a pooler": {
			pgwire.ReasonServerFull, "", pgwire.PhaseAuth, health.ProbeUnknown, &pgwire.ServerError{Forwarded: true},
		},
		"full for one user of a pooler": {
			pgwire.ReasonServerFull, pgwire.CasePoolerShareFull, pgwire.PhaseAuth, health.ProbeUnknown, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched()
			info := someClient()
			w.ended(info, pgwire.SessionResult{
				Reason: row.reason, Phase: row.phase, Duration: time.Second,
				Err: &pgwire.Error{Kind: row.reason, Case: row.which, Text: "the upstream refused the login", Server: row.server},
			})
			if got := w.Prober.Snapshot().State; got != row.want {
				t.Errorf("the upstream is %s, want %s", got, row.want)
			}
			user, database, suspect := w.Suspect()
			if suspect != (row.want == health.ProbeDown) || user != info.User || database != info.Database {
				t.Errorf("suspect is %v, as %s of %s", suspect, user, database)
			}
			w.authenticated(info)
			if _, _, suspect := w.Suspect(); suspect || w.Prober.Snapshot().State != health.ProbeUp {
				t.Error("a login has succeeded, and the upstream is not up")
			}
		})
	}
}

// PostgreSQL says that it is full after it has asked for a password, and a probe has none. So clients know better
// than a probe, until they ask no more.
func TestProbeOfAFullServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		w.authenticated(someClient())
		refused := func(reason pgwire.Reason) {
			w.ended(someClient(), pgwire.SessionResult{
				Reason: reason, Phase: pgwire.PhaseAuth,
				Err: &pgwire.Error{Kind: reason, Text: "the upstream refused the login"},
			})
		}
		refused(pgwire.ReasonServerFull)
		time.Sleep(15 * time.Second)
		if problem := w.Probed(nil); problem == nil || problem.Reason != "server_full" {
			t.Errorf("the next probe says %+v", problem)
		}
		time.Sleep(12 * time.Second)
		if problem := w.Probed(nil); problem != nil {
			t.Errorf("the one after that says %+v", problem)
		}
		refused(pgwire.ReasonServerFull)
		w.authenticated(someClient())
		if problem := w.Probed(nil); problem != nil {
			t.Errorf("after a login, a probe says %+v", problem)
		}
		refused(pgwire.ReasonServerStarting)
		if problem := w.Probed(nil); problem != nil {
			t.Errorf("a server that starts asks for no password, and a probe says %+v", problem)
		}
	})
}

// Everybody may read the status page, so it shows what the server said only where that names nobody.
func TestStatusNamesNoUser(t *testing.T) {
	for _, row := range []struct {
		reason  pgwire.Reason
		which   pgwire.Case
		message string
		want    string
	}{
		{pgwire.ReasonAuthRejected, pgwire.CaseNoDatabase, `database "nope" does not exist`, "the database does not exist (SQLSTATE 3D000; the log has its message)"},
		{pgwire.ReasonServerFull, pgwire.CaseRoleFull, `too many connections for role "nope"`, "the limit is that of the user (SQLSTATE 3D000; the log has its message)"},
		{pgwire.ReasonServerFull, "", "sorry, too many clients already", "refused (sorry, too many clients already)"},
	} {
		w := newWatched()
		w.ended(someClient(), pgwire.SessionResult{
			Reason: row.reason, Phase: pgwire.PhaseAuth,
			Err: &pgwire.Error{
				Kind: row.reason, Case: row.which, Text: "refused (" + row.message + ")",
				Server: &pgwire.ServerError{SQLState: "3D000", Message: row.message},
			},
		})
		var shown health.OriginSnapshot
		w.Describe(&shown, time.Now())
		if len(shown.Failures) != 1 || shown.Failures[0].Text != row.want {
			t.Errorf("%s: the status has %+v, want %q", row.message, shown.Failures, row.want)
		}
	}
}

// A client without a password is listed, although psql leaves like that before it asks a person.
func TestAbandonedLoginIsListed(t *testing.T) {
	w := newWatched()
	w.ended(someClient(), pgwire.SessionResult{
		Reason: pgwire.ReasonLoginAbandoned, Phase: pgwire.PhaseAuth,
		Err: &pgwire.Error{Kind: pgwire.ReasonLoginAbandoned, Text: "the client left"},
	})
	var shown health.OriginSnapshot
	w.Describe(&shown, time.Now())
	if len(shown.Failures) != 1 || !shown.Failures[0].Harmless || len(shown.Failures[0].Cures) == 0 {
		t.Errorf("failures are %+v", shown.Failures)
	}
}
