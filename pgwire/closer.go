package pgwire

// Closer is who ended a session.
type Closer string

// The closers.
const (
	ClosedByClient   Closer = "client"   // it said goodbye, or was gone
	ClosedByUpstream Closer = "upstream" // it closed the connection, or rejected the login
	ClosedByPgorigin Closer = "pgorigin" // everything else: refused, timed out, drained, no upstream to be had
)

// ClosedBy says who ended the session. The reason tells: it is that of what happened first.
func (r SessionResult) ClosedBy() Closer {
	switch r.Reason {
	case ReasonOK, ReasonClientGone:
		return ClosedByClient
	case ReasonUpstreamGone, ReasonAuthRejected:
		return ClosedByUpstream
	case ReasonClientProtocol, ReasonClientTimeout, ReasonClientDenied, ReasonTooManySessions, ReasonDraining,
		ReasonUpstreamProtocol, ReasonUpstreamUnreached, ReasonAuthChannelBinding, ReasonLoginTimeout:
		return ClosedByPgorigin
	}
	// A word of the connection to the upstream: it was lost, or there was none.
	if r.Phase == PhaseAuth || r.Phase == PhaseRelay {
		return ClosedByUpstream
	}
	return ClosedByPgorigin
}
