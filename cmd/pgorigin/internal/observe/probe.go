package observe

import (
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Probed counts a probe that ended with err, and returns the problem. Nil means that the probe succeeded. An
// upstream that only refuses the account of the probe takes the logins of others.
func (o *Observer) Probed(err error) *health.Problem {
	if err == nil {
		o.metrics.Probed(o.origin, string(pgwire.ReasonOK))
		return o.stillFull()
	}
	found := o.cures.FindLogin(err)
	var said *pgwire.Error
	if errors.As(err, &said) && said.Server != nil && !found.Everybody {
		return o.Probed(nil)
	}
	problem := asProblem(found)
	o.metrics.Probed(o.origin, problem.Reason)
	o.record.Failed(problem)
	return problem
}

// stillFull returns why a login was refused a moment ago, if it was because the server is full. PostgreSQL says
// that after it has asked for a password, and a probe does not come so far. It outweighs one probe, but not two.
func (o *Observer) stillFull() *health.Problem {
	o.mu.Lock()
	refused := o.full
	o.mu.Unlock()
	probe := o.Prober.Snapshot()
	full := probe.Problem != nil && probe.Problem.Reason == string(pgwire.ReasonServerFull)
	if !full || time.Since(refused).Seconds() > 1.5*probe.IntervalSeconds {
		return nil
	}
	return probe.Problem
}

// problem describes err for the status page, or returns nil if err has no reason. Unlike a log line, it
// leaves out the cause, because everybody may read the page.
func (o *Observer) problem(err error) *health.Problem {
	found, ok := o.cures.Find(err)
	if !ok {
		return nil
	}
	return asProblem(found)
}

// asProblem returns a finding as the status has it.
func asProblem(f advice.Finding) *health.Problem {
	cures := append([]string{}, f.Cures...) // an empty list in JSON, not null
	return &health.Problem{Reason: f.Reason, Text: f.Public, Cure: f.Cure(), Cures: cures}
}

// updateStatus notes the end of a session. What is a warning in the log is a problem in the status.
func (o *Observer) updateStatus(info pgwire.SessionInfo, result pgwire.SessionResult, level zapcore.Level) {
	var problem *health.Problem
	if level >= zapcore.WarnLevel {
		problem = o.problem(result.Err)
	}
	o.record.SessionEnded(problem)
	if result.Reason == pgwire.ReasonLoginAbandoned {
		o.record.Noted(o.problem(result.Err))
	}
	if info.Cancel {
		o.record.Cancelled(info.CancelKnown, result.Reason == pgwire.ReasonOK)
	}
	if failure := o.upstreamFailure(info, result); failure != nil {
		if result.Reason == pgwire.ReasonServerFull {
			o.mu.Lock()
			o.full = time.Now()
			o.mu.Unlock()
		}
		o.Prober.Observed(failure, result.Duration)
	}
}

// upstreamFailure returns why a session could not use the upstream, or nil if it could, or if only its own
// login was refused. An upstream may reject a client certificate after the handshake, when the login has
// begun.
func (o *Observer) upstreamFailure(info pgwire.SessionInfo, result pgwire.SessionResult) *health.Problem {
	found, ok := o.cures.Find(result.Err)
	if !ok || info.Cancel {
		return nil
	}
	var ofDial *tlsorigin.Error
	fromDial := errors.As(result.Err, &ofDial)
	if fromDial && (result.Phase == pgwire.PhaseDial || ofDial.Kind.Layer() == tlsorigin.LayerCertificate) ||
		result.Phase == pgwire.PhaseAuth && found.Everybody {
		return asProblem(found)
	}
	return nil
}

// account is what a startup packet names.
type account struct{ user, database string }

// remember keeps the account of a session, if there is one. The caller holds o.mu.
func (o *Observer) remember(info pgwire.SessionInfo) {
	if info.User != "" {
		o.account = account{info.User, info.Database}
	}
}

// Suspect returns the account of a recent session, if the last try of the upstream has failed. Then a probe
// has to ask the upstream whether it takes logins: one that starts, or is full, verifies like any other.
func (o *Observer) Suspect() (user, database string, suspect bool) {
	o.mu.Lock()
	a := o.account
	o.mu.Unlock()
	return a.user, a.database, a.user != "" && o.Prober.Snapshot().Problem != nil
}

// upstreamChanged is a health.Prober.Changed. If no probe runs, the lines of sessions have said the same.
func (o *Observer) upstreamChanged(p health.Probe) {
	if !p.Active {
		return
	}
	origin := zap.String("origin", o.origin)
	if p.Problem == nil {
		o.log.Info("upstream is up", origin)
		return
	}
	o.log.Warn("upstream is down", origin, zap.String("reason", p.Problem.Reason),
		zap.String("error", p.Problem.Text), moment("since", p.Since), Text("cure", p.Problem.Cure))
}
