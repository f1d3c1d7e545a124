package observe

import (
	"errors"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Probed counts a probe that ended with err, and returns the problem. Nil means that the probe succeeded.
func (o *Observer) Probed(err error) *health.Problem {
	problem := o.problem(err)
	if err == nil {
		o.metrics.Probed(o.origin, string(pgwire.ReasonOK))
		return nil
	}
	o.metrics.Probed(o.origin, problem.Reason)
	o.record.Failed(problem)
	return problem
}

// problem describes err for the status page, or returns nil if err has no reason. Unlike a log line, it
// leaves out the cause, because everybody may read the page.
func (o *Observer) problem(err error) *health.Problem {
	found, ok := o.cures.Find(err)
	if !ok {
		return nil
	}
	return &health.Problem{Reason: found.Reason, Text: found.Text, Cure: found.Cure()}
}

// updateStatus notes the end of a session. What is a warning in the log is a problem in the status.
func (o *Observer) updateStatus(info pgwire.SessionInfo, result pgwire.SessionResult, level zapcore.Level) {
	var problem *health.Problem
	if level >= zapcore.WarnLevel {
		problem = o.problem(result.Err)
	}
	o.record.SessionEnded(problem)
	if info.Cancel {
		o.record.Cancelled(info.CancelKnown, result.Reason == pgwire.ReasonOK)
	}
	if failure := o.upstreamFailure(info, result); failure != nil {
		o.Prober.Observed(failure, result.Duration)
	}
}

// upstreamFailure returns why a session could not reach the upstream, or nil if it could. An upstream may
// reject a client certificate after the handshake, when the login has begun.
func (o *Observer) upstreamFailure(info pgwire.SessionInfo, result pgwire.SessionResult) *health.Problem {
	var failure *tlsorigin.Error
	switch {
	case info.Cancel, !errors.As(result.Err, &failure):
		return nil
	case result.Phase == pgwire.PhaseDial, failure.Kind == tlsorigin.ReasonClientCertRejected:
		return o.problem(result.Err)
	}
	return nil
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
		zap.String("error", p.Problem.Text), zap.Time("since", p.Since), Text("cure", p.Problem.Cure))
}
