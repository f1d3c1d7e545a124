package sidecar

import (
	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/spares"
)

// newSpares makes what the server dials by. It keeps nothing ready before keepSpares.
func newSpares(o *config.Origin, d *tlsorigin.Dialer, observer *observe.Observer) *spares.Pool {
	pool := spares.New(d, int(o.WarmSpares), observer.SparesTrace())
	observer.Metrics.WarmSpares(o.Name(), pool.Ready)
	return pool
}

// lookAfterReload makes a state that was put in force end the spares of the one before at once.
func (o *origin) lookAfterReload(trace *tlsorigin.Trace) *tlsorigin.Trace {
	reloaded := trace.Reloaded
	trace.Reloaded = func(found tlsorigin.Reloaded, err error) {
		reloaded(found, err)
		if found.Changed {
			o.spares.Check()
		}
	}
	return trace
}

// keepSpares begins to keep spares; shutdown and closeDialers end it.
func (in *instance) keepSpares() {
	for _, o := range in.origins {
		if o.settings.WarmSpares > 0 {
			in.log.Info("keeping spares", zap.String("origin", o.settings.Name()), zap.Int("spares", int(o.settings.WarmSpares)))
		}
		o.spares.Start()
	}
}
