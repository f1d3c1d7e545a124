package observe

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Observer logs and counts the events of one origin, and remembers what the status shows.
type Observer struct {
	// Prober runs the probes of the upstream. The caller sets Try and Interval.
	Prober *health.Prober

	origin   string
	settings *config.Origin // for the names of variables
	cures    advice.Cures
	log      *zap.Logger
	limiter  logLimiter
	metrics  *metrics.Metrics
	idle     *IdleTimer // of all origins; may be nil

	mu        sync.Mutex
	upstreams map[uint64]upstreamLeg // of running sessions, by session ID
	account   account                // of the latest session whose startup packet was read; zero: none
	full      time.Time              // when a login was refused last because the server is full

	record      health.Record
	latest      lastHandshake
	keyExchange keyExchangeStates
	outage      outageState
	reloads     reloadState
	expiry      expiryReminder
}

// NewObserver returns the observer of one origin. idle may be nil.
func NewObserver(s *config.Origin, log *zap.Logger, counts *metrics.Metrics, idle *IdleTimer) *Observer {
	o := &Observer{
		origin: s.Name(), settings: s, cures: advice.NewCures(s), log: log, metrics: counts, idle: idle,
		upstreams: map[uint64]upstreamLeg{},
	}
	o.limiter.suppressed = o.logSuppressed
	o.Prober = &health.Prober{Changed: o.upstreamChanged}
	return o
}

// SessionTrace returns the hooks for pgwire.
func (o *Observer) SessionTrace() *pgwire.Trace {
	return &pgwire.Trace{
		Accepted:      o.accepted,
		UpstreamReady: o.upstreamReady,
		Authenticated: o.authenticated,
		Ended:         o.ended,
		CancelEffect:  o.cancelEffect,
		AcceptFailed:  o.acceptFailed,
	}
}

// DialTrace returns the hooks for tlsorigin.
func (o *Observer) DialTrace() *tlsorigin.Trace {
	return &tlsorigin.Trace{
		Attempt:            o.attempt,
		KeyExchangeChanged: o.keyExchangeChanged,
		AddressChanged:     o.addressChanged,
		Reloaded:           o.reloaded,
	}
}

// AddNotes adds what /readyz?verbose says about files, key exchange and certificates.
func (o *Observer) AddNotes(status *health.Status) {
	status.AddNote(o.settings.NoteName(health.NoteCertificates), o.reloads.note)
	status.AddNote(o.settings.NoteName(health.NoteKeyExchange), o.keyExchange.note)
	status.AddNote(o.settings.NoteName(health.NoteExpiry), o.expiryNote)
}

// Describe adds to snapshot what happened so far.
func (o *Observer) Describe(snapshot *health.OriginSnapshot, now time.Time) {
	snapshot.Verified, snapshot.KeyExchange = o.latest.describe(now), o.describeKeyExchange()
	snapshot.Probe = o.Prober.Snapshot()
	o.record.Describe(snapshot)
}

// Flush logs how many lines were suppressed, because the process ends.
func (o *Observer) Flush() { o.limiter.flush() }

// logSuppressed is logLimiter.suppressed.
func (o *Observer) logSuppressed(kind string, left suppressed) {
	fields := []zap.Field{
		zap.String("origin", o.origin), zap.String("of", kind), zap.Int("count", left.count),
		zap.Float64("within", logPeriod.Seconds()),
	}
	if left.lastSession > 0 {
		fields = append(fields, zap.Uint64("first_session", left.firstSession),
			zap.Uint64("last_session", left.lastSession))
	}
	o.log.Warn("repeated log lines suppressed", fields...)
}

// moment is a field with a date, in both formats of the log. zap.Time has only the time of day for people.
func moment(key string, t time.Time) zap.Field { return zap.String(key, t.UTC().Format(jsonTime)) }

// Text is a field with a value from outside. An empty value makes no field.
func Text(key, value string) zap.Field {
	if value == "" {
		return zap.Skip()
	}
	return zap.String(key, safetext.Printable(value))
}
