package observe

import (
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/tlsorigin/spares"
)

// SparesTrace returns the hooks for warm connections.
func (o *Observer) SparesTrace() spares.Trace {
	origin := zap.String("origin", o.origin)
	return spares.Trace{
		Used: func(use spares.Use) {
			o.metrics.SpareUsed(o.origin, string(use))
			if use == spares.Dead {
				o.log.Debug("spare was dead, dialling anew", origin)
			}
		},
		Discarded: func(end spares.End, age time.Duration, err error) {
			o.metrics.SpareDiscarded(o.origin, string(end))
			fields := []zap.Field{origin, zap.String("cause", string(end)), zap.Float64("age", age.Seconds())}
			if err != nil {
				fields = append(fields, Text("error", advice.WithCause(err)))
			}
			o.log.Debug("spare discarded", fields...)
		},
		Paused: func(err error, wait time.Duration) {
			o.log.Debug("no new spares for a while", origin, zap.Float64("wait", wait.Seconds()),
				Text("error", advice.WithCause(err)))
		},
	}
}
