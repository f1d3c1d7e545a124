package sidecar

import (
	"context"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgclient"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/outage"
	"github.com/pgorigin/pgorigin/tlsorigin/spares"
)

// origin is one upstream and what serves it. Origins share only log, metrics and capacity.
type origin struct {
	settings  *config.Origin
	observer  *observe.Observer
	dialer    *tlsorigin.Dialer
	line      *outage.Line // dials for sessions, by dialer; they wait in it
	spares    *spares.Pool
	server    *pgwire.Server
	listeners []net.Listener // for clients
	shown     *keypair.Pair  // the certificate that clients with TLS see, if it comes from files; else nil
}

// newOrigin builds what serves settings. If it returns problems, they are not in found, and the origin cannot
// be used.
func (s *Sidecar) newOrigin(
	settings *config.Origin, counts *metrics.Metrics, found []config.Problem,
) (*origin, []config.Problem) {
	o := &origin{settings: settings, observer: observe.NewObserver(settings, s.log, counts, s.idle)}
	dialing := s.settings.DialerConfig(settings, o.dialTrace())
	dialing.OwnAddress = s.isOwn
	dialer, err := tlsorigin.NewDialer(dialing)
	if err != nil {
		return o, settings.DialerProblems(err, found)
	}
	o.dialer = dialer
	o.line = outage.New(dialer, o.lineOptions())
	o.spares = spares.New(dialer, settings.WarmSpares, o.observer.SparesTrace())
	o.observer.Prober.Try, o.observer.Prober.Interval = o.probe, s.settings.ProbeInterval
	o.server = &pgwire.Server{
		Dial:        o.dial,
		DialSession: o.dialSession,
		Hint:        advice.NewCures(settings).Hint,
		Allow:       allowUIDs(settings.Listen.AllowUids),

		ChannelBinding: settings.ChannelBinding(),
		RequireAuth:    pgwire.AuthMethods(settings.Auth.Require),
		Password:       settings.Password(),

		LoginTimeout: s.settings.LoginTimeout,
		MaxSessions:  settings.MaxSessions,
		Capacity:     s.capacity,
		Trace:        o.observer.SessionTrace(),
	}
	if err = s.listenTLS(o); err != nil {
		return o, settings.ListenTLSProblems(err, found)
	}
	counts.SessionsOffLoop(settings.Name(), o.server.SessionsOffLoop)
	counts.WarmSpares(settings.Name(), o.spares.Ready)
	counts.WatchProber(settings.Name(), o.observer.Prober.Snapshot)
	counts.WaitingClients(settings.Name(), o.line.Waiting)
	counts.WatchAddresses(settings.Name(), o.addressStates)
	return o, nil
}

// lineOptions says how clients wait while the upstream is away.
func (o *origin) lineOptions() outage.Options {
	return outage.Options{Wait: o.settings.Upstream.Wait, Trace: o.outageTrace()}
}

// outageTrace returns the observer's hooks. In addition, there are no spares while the upstream is away.
func (o *origin) outageTrace() outage.Trace {
	trace := o.observer.OutageTrace()
	away, back, hopeless, forgotten := trace.Away, trace.Back, trace.Hopeless, trace.Forgotten
	trace.Away = func(why error) {
		o.spares.Suspend()
		away(why)
	}
	trace.Back = func(lasted time.Duration, waiting int) {
		o.spares.Resume()
		back(lasted, waiting)
	}
	trace.Hopeless = func(why *tlsorigin.Error, lasted time.Duration, waiting int) {
		o.spares.Resume()
		hopeless(why, lasted, waiting)
	}
	trace.Forgotten = func(lasted time.Duration) {
		o.spares.Resume()
		forgotten(lasted)
	}
	return trace
}

// addressStates returns the state of each remembered address.
func (o *origin) addressStates() []string {
	var states []string
	for _, a := range o.dialer.Addresses() {
		states = append(states, string(a.State))
	}
	return states
}

// waiting returns what is known about an outage.
func (o *origin) waiting() health.Wait {
	since, why, away := o.line.Away()
	return o.observer.Waiting(o.line.Waiting(), since, why, away)
}

// clientsWait reports whether clients of any origin wait for its upstream.
func (s *Sidecar) clientsWait() bool {
	return slices.ContainsFunc(s.origins, func(o *origin) bool { return o.line.Waiting() > 0 })
}

// dialTrace returns the observer's hooks. In addition, changed files end the spares that used the old ones.
func (o *origin) dialTrace() *tlsorigin.Trace {
	trace := o.observer.DialTrace()
	reloaded := trace.Reloaded
	trace.Reloaded = func(found tlsorigin.Reloaded, err error) {
		reloaded(found, err)
		if found.Changed {
			o.spares.Check()
		}
	}
	return trace
}

// keepSpares begins to keep spares ready. drain and closeUpstreams end it.
func (s *Sidecar) keepSpares() {
	for _, o := range s.origins {
		if o.settings.WarmSpares > 0 {
			s.log.Info("keeping spares", zap.String("origin", o.settings.Name()),
				zap.Int("spares", o.settings.WarmSpares))
		}
		o.spares.Start()
	}
}

// addConditions makes startup and readiness depend on the upstream of o as the settings say. If readiness
// does not depend on it, a known outage is a note.
func (s *Sidecar) addConditions(o *origin) {
	name, prober := o.settings.NoteName(health.NoteUpstream), o.observer.Prober
	once := s.settings.StartupCheck == config.DependsOnUpstream
	if once {
		s.status.AddStartup(name, prober.Verified)
	}
	switch {
	case s.settings.Readiness == config.DependsOnUpstream:
		s.status.AddReadiness(name, prober.Up)
		return
	case once: // a process that has not started is not ready
		s.status.AddReadiness(name, prober.Verified)
	}
	s.status.AddNote(name, func() string {
		if _, err := prober.Verified(); once && err != nil {
			return "" // the condition says so
		}
		if note := prober.Note(); note != "" {
			return note
		}
		return o.waiting().Note(time.Now())
	})
}

// probeUpstreams probes until ctx ends. If no endpoint depends on the upstream, it dials nothing.
func (s *Sidecar) probeUpstreams(ctx context.Context) {
	always := s.settings.Readiness == config.DependsOnUpstream
	once := s.settings.StartupCheck == config.DependsOnUpstream
	if s.healthListener == nil || !always && !once {
		return
	}
	for _, o := range s.origins {
		s.tasks.Go(func() { o.observer.Prober.Run(ctx, !always) })
	}
}

// probe implements health.Prober.Try. After a failure it also sends a startup packet, as sessions do, and reads
// the first answer. It sends no password.
func (o *origin) probe(ctx context.Context) *health.Problem {
	var ask func(*tlsorigin.Conn) error
	if user, database, suspect := o.observer.Suspect(); suspect {
		ask = func(conn *tlsorigin.Conn) error {
			_, err := pgclient.Greet(conn, user, database, "pgorigin")
			return err
		}
	}
	err := o.dialer.Probe(ctx, ask)
	if ctx.Err() != nil {
		return nil // the process ends
	}
	return o.observer.Probed(err)
}
