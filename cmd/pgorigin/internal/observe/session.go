package observe

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/pgwire"
)

// acceptFailed is a kind of repeats besides the reasons of sessions.
const acceptFailed = "accept failed"

// logLeftOut says how many lines of a kind repeats has kept out of the log.
func (o *Observer) logLeftOut(kind string, count int) {
	o.Log.Warn("repeats left out", zap.String("origin", o.origin), zap.String("of", kind),
		zap.Int("count", count),
		zap.Float64("within", repeatPeriod.Seconds()))
}

// levelOf is warn for what somebody may have to look into. A client that leaves is none of that, unless it
// left because it insists on encryption; one that came and went without a byte is a port check of a load
// balancer or a kubelet.
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
		Text("client", info.Client.String()),
	}
	if info.Cancel {
		fields = append(fields, zap.Bool("cancel", true), zap.Bool("cancel_known", info.CancelKnown))
	} else {
		fields = append(fields, Text("user", info.User), Text("database", info.Database),
			Text("application_name", info.ApplicationName), Text("auth_method", info.Method))
	}
	fields = append(fields,
		zap.String("reason", string(result.Reason)),
		zap.String("phase", result.Phase.String()),
		zap.String("closed_by", string(result.ClosedBy())),
		Text("sqlstate", result.SQLState),
		zap.Float64("duration", result.Duration.Seconds()),
		zap.Int64("bytes_to_upstream", result.ToUpstream),
		zap.Int64("bytes_to_client", result.ToClient),
	)
	if result.Err != nil {
		fields = append(fields, Text("error", advice.WithCause(result.Err)))
		fields = append(fields, certificateFields(result.Err)...)
	}
	return fields
}

func (l upstreamLeg) fields() []zap.Field {
	return []zap.Field{
		Text("upstream", l.addr), Text("tls_version", l.version), Text("tls_cipher", l.cipher),
		Text("tls_group", l.group), Text("tls_peer", l.peer),
	}
}

// timings say how long each phase of a session took that got as far as an upstream leg. The last one ended
// with it.
func (l upstreamLeg) timings(info pgwire.SessionInfo, result pgwire.SessionResult) []zap.Field {
	seconds := func(key string, d time.Duration) zap.Field { return zap.Float64(key, max(d, 0).Seconds()) }
	fields := []zap.Field{seconds("startup_duration", l.startup), seconds("dial_duration", l.dial)}
	rest := result.Duration - l.startup - l.dial
	if result.Phase == pgwire.PhaseAuth {
		return append(fields, seconds("auth_duration", rest))
	}
	if !info.Cancel {
		fields = append(fields, seconds("auth_duration", l.auth))
	}
	return append(fields, seconds("relay_duration", rest-l.auth))
}
