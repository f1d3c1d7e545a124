package observe

import (
	"crypto/tls"
	"net"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// kindAcceptFailed is a kind of log lines, as the reasons of sessions are.
const kindAcceptFailed = "accept failed"

// upstreamLeg is what the line of a session says about its upstream connection. It has only texts: a
// tls.ConnectionState would keep the certificates of every idle session in memory.
type upstreamLeg struct {
	addr, version, cipher, group, peer string

	startup, dial, auth time.Duration // how long the phases took; auth is zero before its end
}

// tlsConn is a *tlsorigin.Conn, except in tests.
type tlsConn interface{ ConnectionState() tls.ConnectionState }

var _ tlsConn = (*tlsorigin.Conn)(nil)

// accepted counts a client.
func (o *Observer) accepted(pgwire.SessionInfo) {
	o.metrics.SessionOpened(o.origin)
	o.record.SessionOpened()
}

// upstreamReady remembers the upstream connection for the line at the end.
func (o *Observer) upstreamReady(info pgwire.SessionInfo, upstream net.Conn, took time.Duration) {
	leg := upstreamLeg{addr: upstream.RemoteAddr().String(), startup: time.Since(info.Accepted) - took - info.Waited}
	if secured, ok := upstream.(tlsConn); ok {
		state := secured.ConnectionState()
		leg.version = advice.VersionName(state.Version)
		leg.cipher = tls.CipherSuiteName(state.CipherSuite)
		leg.group = tlsorigin.GroupName(state.CurveID)
		leg.peer = advice.PeerName(state)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	before, again := o.upstreams[info.ID]
	if again { // the first connection could not be used
		leg.startup = before.startup
	} else if !info.Cancel {
		o.idle.SessionBegan()
	}
	leg.dial = time.Since(info.Accepted) - leg.startup
	o.upstreams[info.ID] = leg
}

// authenticated ends the auth phase.
func (o *Observer) authenticated(info pgwire.SessionInfo) {
	o.idle.LoggedIn()
	o.mu.Lock()
	leg := o.upstreams[info.ID]
	leg.auth = time.Since(info.Accepted) - leg.startup - leg.dial
	o.upstreams[info.ID] = leg
	o.remember(info)
	o.mu.Unlock()
	o.metrics.LoggedIn(o.origin, info.Method, leg.auth)
	o.record.LoggedIn(info.Method)
	// Not earlier: an upstream may reject the client certificate after the handshake.
	o.Prober.Observed(nil, leg.dial-info.Waited)
}

// ended counts the session and writes its line.
func (o *Observer) ended(info pgwire.SessionInfo, result pgwire.SessionResult) {
	o.mu.Lock()
	leg, dialled := o.upstreams[info.ID]
	delete(o.upstreams, info.ID)
	o.remember(info)
	o.mu.Unlock()

	reason := string(result.Reason)
	o.metrics.SessionEnded(o.origin, metrics.SessionEnd{
		Reason: reason, ClosedBy: string(result.ClosedBy()),
		Duration: result.Duration, ToUpstream: result.ToUpstream, ToClient: result.ToClient,
	})
	switch {
	case info.Cancel && (info.CancelKnown || result.Reason == pgwire.ReasonTooManySessions):
		o.metrics.CancelRequest(o.origin, reason)
	case info.Cancel:
		o.metrics.CancelUnknownKey(o.origin)
	}
	if dialled && !info.Cancel {
		o.idle.SessionEnded()
	}
	level := levelOf(info, result)
	o.updateStatus(info, result, level)
	line := o.log.Check(level, "session ended")
	if line == nil || level >= zapcore.WarnLevel && !o.limiter.admit(reason, info.ID) {
		return
	}
	fields := append(o.findingFields(info, result), sessionFields(info, result)...)
	if dialled {
		fields = append(fields, leg.fields()...)
		fields = append(fields, leg.timings(info, result)...)
	}
	line.Write(fields...)
}

// acceptFailed logs that a listener could not accept, and will try again.
func (o *Observer) acceptFailed(err error, retryIn time.Duration) {
	o.metrics.AcceptFailed(o.origin)
	if !o.limiter.admit(kindAcceptFailed, 0) {
		return
	}
	o.log.Warn("accept failed", zap.String("origin", o.origin), Text("error", err.Error()),
		zap.Float64("retry_in", retryIn.Seconds()))
}

// CancelEffects returns the effects of a cancel request, as metrics have them.
func CancelEffects() []string {
	var effects []string
	for _, effect := range pgwire.CancelEffects() {
		effects = append(effects, string(effect))
	}
	return effects
}

// cancelEffect logs what a delivered cancel request did to its target session.
func (o *Observer) cancelEffect(info pgwire.SessionInfo, target uint64, effect pgwire.CancelEffect) {
	o.metrics.CancelEffect(o.origin, string(effect))
	o.log.Info("cancel request finished", zap.String("origin", o.origin), zap.Uint64("session", info.ID),
		zap.Uint64("target_session", target), zap.String("cancel_effect", string(effect)))
}

// levelOf returns warn for a session that may need attention. A client that leaves needs none, unless it
// insists on encryption; psql leaves to ask a person for the password. A client that sends nothing is a port
// check by a load balancer or a kubelet. A client that was told the number of its session has a line.
func levelOf(info pgwire.SessionInfo, result pgwire.SessionResult) zapcore.Level {
	silent := result.Phase == pgwire.PhaseStartup && !info.RefusedEncryption && result.SQLState == ""
	switch {
	case silent && (result.Reason == pgwire.ReasonClientGone || result.Reason == pgwire.ReasonDraining):
		return zapcore.DebugLevel
	case result.Phase == pgwire.PhaseStartup:
		return zapcore.WarnLevel
	case result.Reason == pgwire.ReasonOK, result.Reason == pgwire.ReasonClientGone,
		result.Reason == pgwire.ReasonLoginAbandoned:
		return zapcore.InfoLevel
	}
	return zapcore.WarnLevel
}

// findingFields say what a person looks for. So they come first: a line has more than fits on a screen.
func (o *Observer) findingFields(info pgwire.SessionInfo, result pgwire.SessionResult) []zap.Field {
	fields := []zap.Field{
		zap.String("origin", o.origin), zap.Uint64("session", info.ID),
		zap.String("reason", string(result.Reason)),
	}
	if result.Err == nil {
		return fields
	}
	found, _ := o.cures.Find(result.Err)
	fields = append(fields, Text("error", advice.WithCause(result.Err)), Text("cure", found.Cure()))
	if said := result.Server; said != nil {
		fields = append(fields, Text("server_message", said.Message), Text("server_sqlstate", said.SQLState))
	}
	return fields
}

func sessionFields(info pgwire.SessionInfo, result pgwire.SessionResult) []zap.Field {
	fields := []zap.Field{Text("client", info.Client.String()), Text("client_tls", info.TLS)}
	if info.Cancel {
		fields = append(fields, zap.Bool("cancel", true), zap.Bool("cancel_known", info.CancelKnown))
	} else {
		fields = append(fields, Text("user", info.User), Text("database", info.Database),
			Text("application_name", info.ApplicationName), Text("auth_method", info.Method))
	}
	fields = append(fields,
		zap.String("phase", result.Phase.String()),
		zap.String("closed_by", string(result.ClosedBy())),
		Text("sqlstate", result.SQLState),
		zap.Float64("duration", result.Duration.Seconds()),
		waitedField(info),
		zap.Int64("bytes_to_upstream", result.ToUpstream),
		zap.Int64("bytes_to_client", result.ToClient),
	)
	return append(fields, certificateFields(result.Err)...)
}

// waitedField says how long the session has waited for the upstream. One that has not waited has no field.
func waitedField(info pgwire.SessionInfo) zap.Field {
	if info.Waited == 0 {
		return zap.Skip()
	}
	return zap.Float64("waited", info.Waited.Round(time.Millisecond).Seconds())
}

func (leg upstreamLeg) fields() []zap.Field {
	return []zap.Field{
		Text("upstream", leg.addr), Text("tls_version", leg.version), Text("tls_cipher", leg.cipher),
		Text("tls_group", leg.group), Text("tls_peer", leg.peer),
	}
}

// timings says how long each phase of a session with an upstream connection took. The last phase ended with
// the session.
func (leg upstreamLeg) timings(info pgwire.SessionInfo, result pgwire.SessionResult) []zap.Field {
	seconds := func(key string, d time.Duration) zap.Field { return zap.Float64(key, max(d, 0).Seconds()) }
	fields := []zap.Field{seconds("startup_duration", leg.startup), seconds("dial_duration", leg.dial)}
	rest := result.Duration - leg.startup - leg.dial
	if result.Phase == pgwire.PhaseAuth {
		return append(fields, seconds("auth_duration", rest))
	}
	if !info.Cancel {
		fields = append(fields, seconds("auth_duration", leg.auth))
	}
	return append(fields, seconds("relay_duration", rest-leg.auth))
}
