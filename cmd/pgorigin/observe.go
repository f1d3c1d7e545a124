package main

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// observer turns the events of one origin into log lines and counts; nothing else in this program does.
type observer struct {
	origin   string
	settings *OriginSettings // for the names of variables
	log      *zap.Logger
	metrics  *health.Metrics

	mu        sync.Mutex
	upstreams map[uint64]upstreamLeg // of running sessions, by session ID

	paths   pathLog
	reloads reloadLog
	expiry  expiryLog
}

// upstreamLeg is what the log line of a session says about its upstream leg: texts only, for a tls.ConnectionState would
// keep the certificates of every idle session in memory.
type upstreamLeg struct {
	addr, version, cipher, group, peer string
}

func newObserver(s *OriginSettings, log *zap.Logger, metrics *health.Metrics) *observer {
	return &observer{origin: s.name, settings: s, log: log, metrics: metrics, upstreams: map[uint64]upstreamLeg{}}
}

// sessionTrace returns the hooks for pgwire.
func (o *observer) sessionTrace() *pgwire.Trace {
	return &pgwire.Trace{
		Accepted:      func(pgwire.SessionInfo) { o.metrics.SessionOpened(o.origin) },
		UpstreamReady: o.upstreamReady,
		Ended:         o.ended,
		AcceptFailed: func(err error, retryIn time.Duration) {
			o.metrics.AcceptFailed(o.origin)
			o.log.Warn("accept failed", zap.String("origin", o.origin), text("error", err.Error()),
				zap.Float64("retry_in", retryIn.Seconds()))
		},
	}
}

// dialTrace returns the hooks for tlsorigin.
func (o *observer) dialTrace() *tlsorigin.Trace {
	return &tlsorigin.Trace{Attempt: o.attempt, PathChanged: o.pathChanged, Reloaded: o.reloaded}
}

// certificates records when our own certificates end; a zero time is for one that there is not.
func (o *observer) certificates(roots, client time.Time) {
	if !roots.IsZero() {
		o.metrics.CertificateNotAfter(o.origin, health.RoleCA, roots)
	}
	if !client.IsZero() {
		o.metrics.CertificateNotAfter(o.origin, health.RoleClient, client)
	}
}

// attempt counts one address tried. Failures are in the line of the session, so this one is for debugging.
func (o *observer) attempt(a tlsorigin.Attempt) {
	fields := []zap.Field{zap.String("origin", o.origin), text("upstream_addr", a.Addr)}
	if a.Resolved != nil {
		fields = append(fields, text("upstream", a.Resolved.String()))
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
		o.metrics.Dial(o.origin, a.Err.Reason(), a.Connect, a.SSLRequest, a.TLS)
		o.certificateProblems(a.Err)
		fields = append(fields, zap.String("reason", a.Err.Reason()), text("error", withCause(a.Err)))
		o.log.Debug("upstream attempt", fields...)
		return
	}
	o.metrics.Dial(o.origin, string(pgwire.ReasonOK), a.Connect, a.SSLRequest, a.TLS)
	o.metrics.Handshake(o.origin, versionName(a.State.Version), groupName(a.State.CurveID))
	if certs := a.State.PeerCertificates; len(certs) > 0 {
		o.metrics.CertificateNotAfter(o.origin, health.RoleUpstream, certs[0].NotAfter)
	}
	now := time.Now()
	o.expiringUpstream(a.State.VerifiedChains, now)
	o.expiringOwn(now) // no reload looks at them when the interval is off
	o.log.Debug("upstream attempt", append(fields, zap.String("reason", string(pgwire.ReasonOK)))...)
}

// upstreamReady remembers the leg for the line at the end.
func (o *observer) upstreamReady(info pgwire.SessionInfo, upstream net.Conn, _ time.Duration) {
	leg := upstreamLeg{addr: upstream.RemoteAddr().String()}
	if secured, ok := upstream.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secured.ConnectionState()
		leg.version = versionName(state.Version)
		leg.cipher = tls.CipherSuiteName(state.CipherSuite)
		leg.group = groupName(state.CurveID)
		leg.peer = peerName(state)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.upstreams[info.ID] = leg
}

// ended counts the session and writes its line.
func (o *observer) ended(info pgwire.SessionInfo, result pgwire.SessionResult) {
	o.mu.Lock()
	leg, dialled := o.upstreams[info.ID]
	delete(o.upstreams, info.ID)
	o.mu.Unlock()

	reason := string(result.Reason)
	o.metrics.SessionEnded(o.origin, reason, result.Duration, result.ToUpstream, result.ToClient)
	switch {
	case info.Cancel && info.CancelKnown:
		o.metrics.CancelRequest(o.origin, reason)
	case info.Cancel:
		o.metrics.CancelUnknownKey(o.origin)
	}
	line := o.log.Check(levelOf(info, result), "session ended")
	if line == nil {
		return
	}
	fields := append([]zap.Field{zap.String("origin", o.origin)}, sessionFields(info, result)...)
	if dialled {
		fields = append(fields, leg.fields()...)
	}
	line.Write(fields...)
}

// levelOf is warn for what somebody may have to look into. A client that leaves is none of that, unless it left because
// it insists on encryption; one that came and went without a byte is a port check of a load balancer or a kubelet.
func levelOf(info pgwire.SessionInfo, result pgwire.SessionResult) zapcore.Level {
	silent := result.Phase == pgwire.PhaseStartup && !info.RefusedEncryption
	switch {
	case silent && (result.Reason == pgwire.ReasonClientGone || result.Reason == pgwire.ReasonDraining):
		return zapcore.DebugLevel
	case result.Phase == pgwire.PhaseStartup:
		return zapcore.WarnLevel
	case result.Reason == pgwire.ReasonOK, result.Reason == pgwire.ReasonClientGone:
		return zapcore.InfoLevel
	}
	return zapcore.WarnLevel
}

func sessionFields(info pgwire.SessionInfo, result pgwire.SessionResult) []zap.Field {
	fields := []zap.Field{
		zap.Uint64("session", info.ID),
		text("client", info.Client.String()),
	}
	if info.Cancel {
		fields = append(fields, zap.Bool("cancel", true), zap.Bool("cancel_known", info.CancelKnown))
	} else {
		fields = append(fields, text("user", info.User), text("database", info.Database),
			text("application_name", info.ApplicationName))
	}
	fields = append(fields,
		zap.String("reason", string(result.Reason)),
		zap.String("phase", result.Phase.String()),
		text("sqlstate", result.SQLState),
		zap.Float64("duration", result.Duration.Seconds()),
		zap.Int64("bytes_to_upstream", result.ToUpstream),
		zap.Int64("bytes_to_client", result.ToClient),
	)
	if result.Err != nil {
		fields = append(fields, text("error", withCause(result.Err)))
		fields = append(fields, certificateFields(result.Err)...)
	}
	return fields
}

func (l upstreamLeg) fields() []zap.Field {
	return []zap.Field{
		text("upstream", l.addr), text("tls_version", l.version), text("tls_cipher", l.cipher),
		text("tls_group", l.group), text("tls_peer", l.peer),
	}
}

// text is a field whose value somebody else chose; an empty value makes no field.
func text(key, value string) zap.Field {
	if value == "" {
		return zap.Skip()
	}
	return zap.String(key, printable(value))
}
