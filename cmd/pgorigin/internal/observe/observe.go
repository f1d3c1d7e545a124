package observe

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Observer turns the events of one origin into log lines and counts; nothing else in this program does.
type Observer struct {
	origin   string
	settings *config.Origin // for the names of variables
	cures    advice.Cures
	Log      *zap.Logger
	Metrics  *metrics.Metrics

	mu        sync.Mutex
	upstreams map[uint64]upstreamLeg // of running sessions, by session ID

	Paths   pathLog
	Reloads reloadLog
	expiry  expiryLog
	Repeats repeats
	Idle    *IdleWatch // of all origins; nil in a process that does not end when it is idle

	Record health.Record
	Prober *health.Prober // never nil; what it needs to probe is set by newOrigin
	Latest handshake
}

// upstreamLeg is what the log line of a session says about its upstream leg: texts only, for a
// tls.ConnectionState would keep the certificates of every idle session in memory.
type upstreamLeg struct {
	addr, version, cipher, group, peer string

	startup, dial, auth time.Duration // how long these phases took; auth is zero before its end
}

func NewObserver(s *config.Origin, log *zap.Logger, counts *metrics.Metrics) *Observer {
	o := &Observer{
		origin: s.Name(), settings: s, cures: advice.NewCures(s), Log: log, Metrics: counts,
		upstreams: map[uint64]upstreamLeg{},
	}
	o.Repeats.leftOut = o.logLeftOut
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
		CancelEffect:  o.cancelSettled,
		AcceptFailed: func(err error, retryIn time.Duration) {
			o.Metrics.AcceptFailed(o.origin)
			if !o.Repeats.admit(acceptFailed) {
				return
			}
			o.Log.Warn("accept failed", zap.String("origin", o.origin), Text("error", err.Error()),
				zap.Float64("retry_in", retryIn.Seconds()))
		},
	}
}

// DialTrace returns the hooks for tlsorigin.
func (o *Observer) DialTrace() *tlsorigin.Trace {
	return &tlsorigin.Trace{Attempt: o.attempt, PathChanged: o.pathChanged, Reloaded: o.reloaded}
}

// certificates records when our own certificates end; a zero time is for one that there is not.
func (o *Observer) certificates(roots, client time.Time) {
	if !roots.IsZero() {
		o.Metrics.CertificateNotAfter(o.origin, health.RoleCA, roots)
	}
	if !client.IsZero() {
		o.Metrics.CertificateNotAfter(o.origin, health.RoleClient, client)
	}
}

// attempt counts one address tried. Failures are in the line of the session, so this one is for debugging.
func (o *Observer) attempt(a tlsorigin.Attempt) {
	fields := []zap.Field{zap.String("origin", o.origin), Text("upstream_addr", a.Addr)}
	if a.Resolved != nil {
		fields = append(fields, Text("upstream", a.Resolved.String()))
	}
	fields = append(fields, zap.Float64("connect", a.Connect.Seconds()),
		zap.Float64("sslrequest", a.SSLRequest.Seconds()), zap.Float64("tls", a.TLS.Seconds()))
	if a.Fallback != "" {
		fields = append(fields, zap.String("fallback", string(a.Fallback)))
	}
	if a.Probe {
		o.probed(a, fields)
		return
	}
	o.fellBack(a)
	if a.Err != nil {
		o.Metrics.Dial(o.origin, a.Err.Reason(), a.Connect, a.SSLRequest, a.TLS)
		o.certificateProblems(a.Err)
		fields = append(fields, zap.String("reason", a.Err.Reason()), Text("error", advice.WithCause(a.Err)))
		o.Log.Debug("upstream attempt", fields...)
		return
	}
	o.Metrics.Dial(o.origin, string(pgwire.ReasonOK), a.Connect, a.SSLRequest, a.TLS)
	o.Metrics.Handshake(o.origin, advice.VersionName(a.State.Version), tlsorigin.GroupName(a.State.CurveID))
	if a.State.DidResume {
		o.Metrics.Resumption(o.origin)
	}
	o.verified(a)
	o.Log.Debug("upstream attempt", append(fields, zap.String("reason", string(pgwire.ReasonOK)))...)
}

// verified notes what the upstream has presented, be it to a client or to a probe.
func (o *Observer) verified(a tlsorigin.Attempt) {
	o.Latest.happened(a)
	if certs := a.State.PeerCertificates; len(certs) > 0 {
		o.Metrics.CertificateNotAfter(o.origin, health.RoleUpstream, certs[0].NotAfter)
	}
	now := time.Now()
	o.expiringUpstream(a.State.VerifiedChains, now)
	o.ExpiringOwn(now) // no reload looks at them when the interval is off
}

// accepted counts a client.
func (o *Observer) accepted(pgwire.SessionInfo) {
	o.Metrics.SessionOpened(o.origin)
	o.Record.SessionOpened()
}

// upstreamReady remembers the leg for the line at the end.
func (o *Observer) upstreamReady(info pgwire.SessionInfo, upstream net.Conn, took time.Duration) {
	leg := upstreamLeg{addr: upstream.RemoteAddr().String(), startup: time.Since(info.Accepted) - took}
	if secured, ok := upstream.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secured.ConnectionState()
		leg.version = advice.VersionName(state.Version)
		leg.cipher = tls.CipherSuiteName(state.CipherSuite)
		leg.group = tlsorigin.GroupName(state.CurveID)
		leg.peer = advice.PeerName(state)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	before, again := o.upstreams[info.ID]
	if again { // the first one was a spare that had died
		leg.startup = before.startup
	} else if !info.Cancel {
		o.Idle.Began()
	}
	leg.dial = time.Since(info.Accepted) - leg.startup
	o.upstreams[info.ID] = leg
}

// authenticated ends the auth phase.
func (o *Observer) authenticated(info pgwire.SessionInfo) {
	o.Idle.LoggedIn()
	o.mu.Lock()
	leg := o.upstreams[info.ID]
	leg.auth = time.Since(info.Accepted) - leg.startup - leg.dial
	o.upstreams[info.ID] = leg
	o.mu.Unlock()
	o.Metrics.LoggedIn(o.origin, info.Method, leg.auth)
	o.Record.LoggedIn(info.Method)
	// and not before: a client certificate may be rejected after the handshake
	o.Prober.Observed(nil, leg.dial)
}

// ended counts the session and writes its line.
func (o *Observer) ended(info pgwire.SessionInfo, result pgwire.SessionResult) {
	o.mu.Lock()
	leg, dialled := o.upstreams[info.ID]
	delete(o.upstreams, info.ID)
	o.mu.Unlock()

	reason := string(result.Reason)
	o.Metrics.SessionEnded(o.origin, metrics.SessionEnd{
		Reason: reason, ClosedBy: string(result.ClosedBy()),
		Duration: result.Duration, ToUpstream: result.ToUpstream, ToClient: result.ToClient,
	})
	switch {
	case info.Cancel && (info.CancelKnown || result.Reason == pgwire.ReasonTooManySessions):
		o.Metrics.CancelRequest(o.origin, reason)
	case info.Cancel:
		o.Metrics.CancelUnknownKey(o.origin)
	}
	if dialled && !info.Cancel {
		o.Idle.Ended()
	}
	level := levelOf(info, result)
	o.remember(info, result, level)
	line := o.Log.Check(level, "session ended")
	if line == nil || level >= zapcore.WarnLevel && !o.Repeats.admit(reason) {
		return
	}
	fields := append([]zap.Field{zap.String("origin", o.origin)}, sessionFields(info, result)...)
	if dialled {
		fields = append(fields, leg.fields()...)
		fields = append(fields, leg.timings(info, result)...)
	}
	line.Write(fields...)
}

// CancelEffects returns pgwire's words for the effects of a cancel request.
func CancelEffects() []string {
	var effects []string
	for _, effect := range pgwire.CancelEffects() {
		effects = append(effects, string(effect))
	}
	return effects
}

// cancelSettled says what a delivered cancel request did to the session that it was for.
func (o *Observer) cancelSettled(info pgwire.SessionInfo, target uint64, effect pgwire.CancelEffect) {
	o.Metrics.CancelSettled(o.origin, string(effect))
	o.Log.Info("cancel request settled", zap.String("origin", o.origin), zap.Uint64("session", info.ID),
		zap.Uint64("target_session", target), zap.String("cancel_effect", string(effect)))
}

// Text is a field whose value somebody else chose; an empty value makes no field.
func Text(key, value string) zap.Field {
	if value == "" {
		return zap.Skip()
	}
	return zap.String(key, safetext.Printable(value))
}
