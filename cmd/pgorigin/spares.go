package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// maxSpares is far more than refilling can make use of, and few enough that a slip of the finger does not use up the
// upstream's connections.
const maxSpares = 32

// spareCount is a number of spares.
type spareCount int

// Decode reads a whole number from zero on.
func (c *spareCount) Decode(value string) error {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	switch {
	case err != nil || n < 0:
		return errors.New("expected a whole number such as 1; 0 keeps no connection ready")
	case n > maxSpares:
		return fmt.Errorf("expected at most %d; each is a connection that the upstream holds open for nobody", maxSpares)
	}
	*c = spareCount(n)
	return nil
}

// newSpares makes what the server dials by. It keeps nothing ready before keepSpares.
func (o *OriginSettings) newSpares(d *tlsorigin.Dialer, observer *observer) *tlsorigin.Spares {
	spares := tlsorigin.NewSpares(d, int(o.WarmSpares), observer.sparesTrace())
	observer.metrics.WarmSpares(o.name, spares.Ready)
	return spares
}

// lookAfterReload makes a state that was put in force end the spares of the one before at once.
func (o *origin) lookAfterReload(trace *tlsorigin.Trace) *tlsorigin.Trace {
	reloaded := trace.Reloaded
	trace.Reloaded = func(found tlsorigin.Reloaded, err error) {
		reloaded(found, err)
		if found.Changed {
			o.spares.Look()
		}
	}
	return trace
}

// keepSpares begins to keep spares; shutdown and closeDialers end it.
func (in *instance) keepSpares() {
	for _, o := range in.origins {
		if o.settings.WarmSpares > 0 {
			in.log.Info("keeping spares", zap.String("origin", o.settings.name), zap.Int("spares", int(o.settings.WarmSpares)))
		}
		o.spares.Start()
	}
}

// spareDoubts compares the spares with the connections that the upstream is expected to have.
func (o *OriginSettings) spareDoubts() []doubt {
	const share = 10
	if o.WarmSpares <= 1 || o.MaxSessions == 0 || int(o.WarmSpares)*share <= int(o.MaxSessions) {
		return nil
	}
	return []doubt{{o.name, o.rename(fmt.Sprintf("%sWARM_SPARES=%d is more than a tenth of %sMAX_SESSIONS=%d: connections that the "+
		"upstream holds open for nobody", prefix, o.WarmSpares, prefix, o.MaxSessions))}}
}

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
				fields = append(fields, text("error", withCause(err)))
			}
			o.log.Debug("spare discarded", fields...)
		},
		Paused: func(err error, wait time.Duration) {
			o.log.Debug("no new spares for a while", origin, zap.Float64("wait", wait.Seconds()), text("error", withCause(err)))
		},
	}
}
