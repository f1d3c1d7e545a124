package observe

import (
	"errors"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Problem describes an error for people. Unlike a log line, it leaves out the cause: anybody may read the
// status page, and only the text of the error itself is fit for that.
func (o *Observer) Problem(err error) *health.Problem {
	var reasoned interface {
		error
		Reason() string
	}
	if !errors.As(err, &reasoned) {
		return nil
	}
	return &health.Problem{
		Reason: reasoned.Reason(),
		Text:   safetext.Printable(reasoned.Error()),
		Cure:   o.cures[reasoned.Reason()],
	}
}

// remember notes the end of a session for the status. A problem is what the log has a warning for.
func (o *Observer) remember(info pgwire.SessionInfo, result pgwire.SessionResult, level zapcore.Level) {
	var problem *health.Problem
	if level >= zapcore.WarnLevel {
		problem = o.Problem(result.Err)
	}
	o.Record.SessionEnded(problem)
	if info.Cancel {
		o.Record.Cancelled(info.CancelKnown, result.Reason == pgwire.ReasonOK)
	}
	if failure := o.upstreamFailure(info, result); failure != nil {
		o.Prober.Observed(failure, result.Duration)
	}
}

// upstreamFailure returns why a session found out that the upstream cannot be reached, nil if it did not. A
// client certificate may be rejected only after the handshake, when the login has begun.
func (o *Observer) upstreamFailure(info pgwire.SessionInfo, result pgwire.SessionResult) *health.Problem {
	var failure *tlsorigin.Error
	switch {
	case info.Cancel, !errors.As(result.Err, &failure):
		return nil
	case result.Phase == pgwire.PhaseDial, failure.Kind == tlsorigin.ReasonClientCertRejected:
		return o.Problem(result.Err)
	}
	return nil
}

// upstreamChanged is a health.Prober.Changed. Without a probe that runs, sessions have said the same in their
// own lines.
func (o *Observer) upstreamChanged(p health.Probe) {
	if !p.Active {
		return
	}
	origin := zap.String("origin", o.origin)
	if p.Problem == nil {
		o.Log.Info("upstream is up", origin)
		return
	}
	o.Log.Warn("upstream is down", origin, zap.String("reason", p.Problem.Reason),
		zap.String("error", p.Problem.Text),
		zap.Time("since", p.Since), Text("cure", p.Problem.Cure))
}
