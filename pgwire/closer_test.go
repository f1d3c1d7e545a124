package pgwire

import "testing"

func TestClosedBy(t *testing.T) {
	for name, row := range map[string]struct {
		result SessionResult
		want   Closer
	}{
		"the client said Terminate":              {SessionResult{Reason: ReasonOK, Phase: PhaseRelay}, ClosedByClient},
		"the client vanished":                    {SessionResult{Reason: ReasonClientGone, Phase: PhaseRelay}, ClosedByClient},
		"a port check":                           {SessionResult{Reason: ReasonClientGone, Phase: PhaseStartup}, ClosedByClient},
		"the upstream closed":                    {SessionResult{Reason: ReasonUpstreamGone, Phase: PhaseRelay}, ClosedByUpstream},
		"the upstream closed before the login":   {SessionResult{Reason: ReasonUpstreamGone, Phase: PhaseAuth}, ClosedByUpstream},
		"a wrong password":                       {SessionResult{Reason: ReasonAuthRejected, Phase: PhaseAuth, Server: &ServerError{}}, ClosedByUpstream},
		"a method that is not allowed":           {SessionResult{Reason: ReasonAuthRejected, Phase: PhaseAuth}, ClosedByPgorigin},
		"the upstream did not wait":              {SessionResult{Reason: ReasonLoginTimeout, Phase: PhaseAuth, Server: &ServerError{}}, ClosedByUpstream},
		"no password at hand":                    {SessionResult{Reason: ReasonLoginAbandoned, Phase: PhaseAuth}, ClosedByClient},
		"the upstream shut down":                 {SessionResult{Reason: ReasonUpstreamShutdown, Phase: PhaseRelay}, ClosedByUpstream},
		"a TLS alert in the relay":               {SessionResult{Reason: "tls_alert", Phase: PhaseRelay}, ClosedByUpstream},
		"a client certificate that is rejected":  {SessionResult{Reason: "client_cert_rejected", Phase: PhaseAuth}, ClosedByUpstream},
		"a certificate that is refused":          {SessionResult{Reason: "cert_expired", Phase: PhaseDial}, ClosedByPgorigin},
		"nobody listens upstream":                {SessionResult{Reason: "upstream_refused", Phase: PhaseDial}, ClosedByPgorigin},
		"drained":                                {SessionResult{Reason: ReasonDraining, Phase: PhaseRelay}, ClosedByPgorigin},
		"the login took too long":                {SessionResult{Reason: ReasonLoginTimeout, Phase: PhaseAuth}, ClosedByPgorigin},
		"HTTP on the Postgres port":              {SessionResult{Reason: ReasonClientProtocol, Phase: PhaseStartup}, ClosedByPgorigin},
		"an upstream that is no Postgres server": {SessionResult{Reason: ReasonUpstreamProtocol, Phase: PhaseAuth}, ClosedByPgorigin},
	} {
		if got := row.result.ClosedBy(); got != row.want {
			t.Errorf("%s: closed by %s, want %s", name, got, row.want)
		}
	}
}
