package metrics

import "time"

// Values of SessionEnd.ClosedBy: who ended the session.
const (
	ClosedByClient   = "client"   // it said goodbye, or was gone
	ClosedByUpstream = "upstream" // it closed the connection or rejected the login
	ClosedByPgorigin = "pgorigin" // everything else: refused, timed out, drained, no upstream
)

func closers() []string { return []string{ClosedByClient, ClosedByUpstream, ClosedByPgorigin} }

// Values of the direction label.
const (
	toUpstream = "to_upstream"
	toClient   = "to_client"
)

// unknownKey is the cancel result for a key that belongs to no session of this process.
const unknownKey = "unknown_key"

func (m *Metrics) makeSessionMetrics() {
	m.sessionsOpen = m.gauge("pgorigin_sessions_open",
		"Client connections that are open now, cancel requests included.")
	m.sessions = m.counter("pgorigin_sessions_total",
		"Client connections that have ended, by the reason of the end; refused ones have their own reasons.",
		label{"reason", m.opts.Reasons})
	m.sessionDuration = m.histogram("pgorigin_session_duration_seconds",
		"How long sessions lasted, from accept to the last close.",
		[]float64{.01, .1, 1, 10, 60, 600, 3600, 6 * 3600})
	m.logins = m.counter("pgorigin_logins_total",
		"Logins that the upstream has accepted, by authentication method; none is a login without any proof.",
		label{"method", m.opts.LoginMethods})
	m.closes = m.counter("pgorigin_sessions_closed_total",
		"Client connections that have ended, "+
			"by who ended them: the client, the upstream, or pgorigin itself.",
		label{"by", closers()})
	m.bytes = m.counter("pgorigin_bytes_total",
		"Postgres bytes of ended sessions, without the overhead of TLS.",
		label{"direction", []string{toUpstream, toClient}})
	m.cancels = m.counter("pgorigin_cancel_requests_total",
		"Cancel requests by the reason with which they ended, or unknown_key.",
		label{"result", append([]string{unknownKey}, m.opts.Reasons...)})
	m.cancelEffects = m.counter("pgorigin_cancel_effects_total",
		"Delivered cancel requests by their effect on the session: "+
			"canceled (57014), finished (the query ended by itself), none.",
		label{"effect", m.opts.CancelEffects})
	m.acceptErrors = m.counter("pgorigin_accept_errors_total",
		"Errors of the listener, such as too many open files.")
}

// SessionOpened counts an accepted client. One SessionEnded follows every call.
func (m *Metrics) SessionOpened(origin string) {
	m.sessionsOpen.WithLabelValues(origin).Inc()
}

// SessionEnd is what is counted of a session that has ended.
type SessionEnd struct {
	Reason               string // one of Options.Reasons
	ClosedBy             string // one of the Closed constants
	Duration             time.Duration
	ToUpstream, ToClient int64 // relayed bytes
}

// SessionEnded counts a session that has ended.
func (m *Metrics) SessionEnded(origin string, end SessionEnd) {
	m.sessionsOpen.WithLabelValues(origin).Dec()
	m.sessions.WithLabelValues(origin, end.Reason).Inc()
	m.closes.WithLabelValues(origin, known(end.ClosedBy, closers())).Inc()
	m.sessionDuration.WithLabelValues(origin).Observe(end.Duration.Seconds())
	m.bytes.WithLabelValues(origin, toUpstream).Add(float64(end.ToUpstream))
	m.bytes.WithLabelValues(origin, toClient).Add(float64(end.ToClient))
}

// SessionsOffLoop makes the gauge of an origin's sessions that no event loop relays. Call it once for each
// origin. Each scrape calls count.
func (m *Metrics) SessionsOffLoop(origin string, count func() int) {
	m.originGauge("pgorigin_sessions_off_loop",
		"Sessions that no event loop relays; always zero on Linux unless something is wrong.", origin, count)
}

// LoggedIn counts a login that the upstream accepted. Method is one of Options.LoginMethods. Took is the time
// from the startup packet to the first ReadyForQuery.
func (m *Metrics) LoggedIn(origin, method string, took time.Duration) {
	m.logins.WithLabelValues(origin, method).Inc()
	m.connectDuration.WithLabelValues(origin, loginPhase).Observe(took.Seconds())
}

// CancelRequest counts a cancel request for a session of this process by the reason with which it ended.
func (m *Metrics) CancelRequest(origin, reason string) {
	m.cancels.WithLabelValues(origin, reason).Inc()
}

// CancelUnknownKey counts a forwarded cancel request whose key belongs to no session of this process.
func (m *Metrics) CancelUnknownKey(origin string) {
	m.cancels.WithLabelValues(origin, unknownKey).Inc()
}

// CancelEffect counts a delivered cancel request by its effect on the session, one of Options.CancelEffects.
func (m *Metrics) CancelEffect(origin, effect string) {
	m.cancelEffects.WithLabelValues(origin, known(effect, m.opts.CancelEffects)).Inc()
}

// AcceptFailed counts an error of the listener, such as too many open files.
func (m *Metrics) AcceptFailed(origin string) {
	m.acceptErrors.WithLabelValues(origin).Inc()
}
