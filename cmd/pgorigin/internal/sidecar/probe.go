package sidecar

import (
	"context"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
)

// addConditions makes the endpoints depend on the upstream as the settings say. An outage that is no
// condition of readiness is a note there, as far as sessions notice it.
func (in *instance) addConditions(o *origin) {
	name, prober := o.settings.NoteName(health.NoteUpstream), o.observer.Prober
	once := in.settings.StartupCheck == config.Upstream
	if once {
		in.status.AddStartup(name, prober.Verified)
	}
	switch {
	case in.settings.Readiness == config.Upstream:
		in.status.AddReadiness(name, prober.Up)
		return
	case once: // not started is not ready
		in.status.AddReadiness(name, prober.Verified)
	}
	in.status.AddNote(name, func() string {
		if _, err := prober.Verified(); once && err != nil {
			return "" // the condition says so
		}
		return prober.Note()
	})
}

// probeUpstreams runs the probes until ctx ends, but only if an endpoint depends on them: an idle pod has no
// reason to dial.
func (in *instance) probeUpstreams(ctx context.Context) {
	always, once := in.settings.Readiness == config.Upstream, in.settings.StartupCheck == config.Upstream
	if in.probes == nil || !always && !once {
		return
	}
	for _, o := range in.origins {
		in.listening.Go(func() { o.observer.Prober.Run(ctx, !always) })
	}
}

// probe is a health.Prober.Try.
func (o *origin) probe(ctx context.Context) *health.Problem {
	err := o.dialer.Probe(ctx)
	switch problem := o.observer.Problem(err); {
	case ctx.Err() != nil:
		return nil // nobody wants to know any more
	case err == nil:
		o.observer.Metrics.Probed(o.settings.Name(), string(pgwire.ReasonOK))
		return nil
	default:
		o.observer.Metrics.Probed(o.settings.Name(), problem.Reason)
		o.observer.Record.Failed(problem)
		return problem
	}
}
