package health

import "github.com/prometheus/client_golang/prometheus"

// Values of the direction label.
const (
	toUpstreamLabel = "to_upstream"
	toClientLabel   = "to_client"
)

// Who ended a session: values of the label by of pgorigin_sessions_closed_total.
const (
	ClosedByClient   = "client"   // it said goodbye, or was gone
	ClosedByUpstream = "upstream" // it closed the connection or rejected the login
	ClosedByPgorigin = "pgorigin" // everything else: refused, timed out, drained, no upstream
)

func closers() []string { return []string{ClosedByClient, ClosedByUpstream, ClosedByPgorigin} }

// cancelEffects are what a delivered cancel request may do to its session.
func cancelEffects() []string { return []string{"canceled", "finished", "none"} }

// versions are the TLS versions that pgorigin can speak.
func versions() []string { return []string{"1.2", "1.3"} }

// groups are the key-exchange groups that Go can negotiate, by the names that operators write.
func groups() []string {
	return []string{
		"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "X25519", "P-256", "P-384", "P-521", other,
	}
}

// dialPhases are the steps of opening an upstream leg, in the order of Dial's arguments.
func dialPhases() []string { return []string{"tcp", "sslrequest", "tls"} }

// loginPhase comes behind them.
const loginPhase = "login"

func (m *Metrics) makeSessionMetrics() {
	m.sessionsOpen = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pgorigin_sessions_open",
		Help: "Client connections that are open now, cancel requests included.",
	}, []string{"origin"})
	m.sessions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_sessions_total",
		Help: "Client connections that have ended, by the reason of the end; refused ones have their own reasons.",
	}, []string{"origin", "reason"})
	m.sessionDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pgorigin_session_duration_seconds",
		Help:    "How long sessions lasted, from accept to the last close.",
		Buckets: []float64{.01, .1, 1, 10, 60, 600, 3600, 6 * 3600},
	}, []string{"origin"})
	m.logins = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_logins_total",
		Help: "Logins that the upstream has accepted, by authentication method; none is a login without any proof.",
	}, []string{"origin", "method"})
	m.closes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_sessions_closed_total",
		Help: "Client connections that have ended, by who ended them: the client, the upstream, or pgorigin itself.",
	}, []string{"origin", "by"})
	m.bytes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_bytes_total",
		Help: "Postgres bytes of ended sessions, without the overhead of TLS.",
	}, []string{"origin", "direction"})
	m.cancels = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_cancel_requests_total",
		Help: "Cancel requests by the reason with which they ended, or unknown_key.",
	}, []string{"origin", "result"})
	m.cancelEffects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_cancel_effects_total",
		Help: "Delivered cancel requests by their effect on the session: canceled (57014), finished (the query ended by itself), none.",
	}, []string{"origin", "effect"})
	m.acceptErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_accept_errors_total",
		Help: "Errors of the listener, such as too many open files.",
	}, []string{"origin"})
}

// SessionsOffLoop makes the gauge of an origin's sessions that no event loop relays. It is called once for
// each origin, and count with every scrape.
func (m *Metrics) SessionsOffLoop(origin string, count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "pgorigin_sessions_off_loop",
		Help:        "Sessions that no event loop relays; always zero on Linux unless something is wrong.",
		ConstLabels: prometheus.Labels{"origin": origin},
	}, func() float64 { return float64(count()) }))
}

func (m *Metrics) makeUpstreamMetrics() {
	m.makePathMetrics()
	m.connects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_upstream_connects_total",
		Help: "Attempts to open a verified connection to the upstream, by outcome.",
	}, []string{"origin", "reason"})
	m.connectDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pgorigin_upstream_connect_duration_seconds",
		Help:    "Time spent in each phase of a client's way to the upstream: tcp, sslrequest and tls also of failed attempts, login of successful ones.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"origin", "phase"})
	m.handshakes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_tls_handshakes_total",
		Help: "Verified TLS handshakes with the upstream, by protocol version and key-exchange group.",
	}, []string{"origin", "version", "group"})
	m.resumptions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_tls_resumptions_total",
		Help: "Verified TLS handshakes with the upstream that resumed a session; they are among pgorigin_tls_handshakes_total.",
	}, []string{"origin"})
	m.notAfter = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pgorigin_tls_certificate_not_after_timestamp_seconds",
		Help: "When a certificate ends, as Unix time; absent until the certificate has been seen.",
	}, []string{"origin", "role"})
}

// initOrigin makes every series of an origin exist, so that rate() and alerts work from the first event on.
// Certificate times are the exception: a zero would read as "ended in 1970" and fire every expiry alert.
func (m *Metrics) initOrigin(origin string, opts Options) {
	m.sessionsOpen.WithLabelValues(origin)
	m.sessionDuration.WithLabelValues(origin)
	m.acceptErrors.WithLabelValues(origin)
	m.bytes.WithLabelValues(origin, toUpstreamLabel)
	m.bytes.WithLabelValues(origin, toClientLabel)
	m.cancels.WithLabelValues(origin, unknownKey)
	for _, effect := range cancelEffects() {
		m.cancelEffects.WithLabelValues(origin, effect)
	}
	for _, method := range opts.LoginMethods {
		m.logins.WithLabelValues(origin, method)
	}
	for _, reason := range opts.Reasons {
		m.sessions.WithLabelValues(origin, reason)
		m.cancels.WithLabelValues(origin, reason)
	}
	for _, reason := range opts.DialReasons {
		m.connects.WithLabelValues(origin, reason)
	}
	m.resumptions.WithLabelValues(origin)
	m.initPaths(origin)
	m.initReloads(origin)
	m.initCertificates(origin, opts)
	m.initSpares(origin)
	for _, by := range closers() {
		m.closes.WithLabelValues(origin, by)
	}
	m.initProbes(origin, opts)
	for _, phase := range append(dialPhases(), loginPhase) {
		m.connectDuration.WithLabelValues(origin, phase)
	}
	for _, version := range versions() {
		for _, group := range groups() {
			m.handshakes.WithLabelValues(origin, version, group)
		}
	}
}

func buildInfo(opts Options) prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pgorigin_build_info",
		Help: "Constant 1, labelled with what was built and with which Go.",
		ConstLabels: prometheus.Labels{
			"version": opts.Version, "revision": opts.Revision, "goversion": opts.GoVersion,
		},
	})
	info.Set(1)
	return info
}

// stateGauge is 1 while state returns true.
func stateGauge(name, help string, state func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		if state() {
			return 1
		}
		return 0
	})
}
