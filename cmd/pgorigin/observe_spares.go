package main

import (
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// sparesTrace returns the hooks for spares.
func (o *observer) sparesTrace() tlsorigin.SparesTrace {
	origin := zap.String("origin", o.origin)
	return tlsorigin.SparesTrace{
		Used: func(use tlsorigin.SpareUse) {
			o.metrics.SpareUsed(o.origin, string(use))
			if use == tlsorigin.SpareDud {
				o.log.Debug("spare was dead, dialling anew", origin)
			}
		},
		Discarded: func(end tlsorigin.SpareEnd, age time.Duration, err error) {
			o.metrics.SpareDiscarded(o.origin, string(end))
			fields := []zap.Field{origin, zap.String("cause", string(end)), zap.Float64("age", age.Seconds())}
			if err != nil {
				fields = append(fields, text("error", advice.WithCause(err)))
			}
			o.log.Debug("spare discarded", fields...)
		},
		Paused: func(err error, wait time.Duration) {
			o.log.Debug("no new spares for a while", origin, zap.Float64("wait", wait.Seconds()), text("error", advice.WithCause(err)))
		},
	}
}
