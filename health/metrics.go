package health

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

// Values of the role label of pgorigin_tls_certificate_not_after_timestamp_seconds.
const (
	RoleUpstream = "upstream" // the certificate that the upstream presented last
	RoleClient   = "client"   // our own client certificate
	RoleCA       = "ca"       // the CA certificate that ends first
	RoleCRL      = "crl"      // the revocation list that runs out first
)

// other is the label value for what nobody foresaw; it bounds labels whose values come from a handshake.
const other = "other"

// unknownKey is the cancel result for a key that belongs to no session of this process.
const unknownKey = "unknown_key"

// scrapeTimeout bounds the rendering of one scrape; maxScrapes how many may run at a time.
const (
	scrapeTimeout = 5 * time.Second
	maxScrapes    = 4
)

// Options says which label values there are, so that every series exists, at zero, before anything happens.
type Options struct {
	Version, Revision, GoVersion string // of pgorigin_build_info
	Origins                      []string
	// Reasons is the closed vocabulary in which sessions and cancel requests end.
	Reasons []string
	// DialReasons are those reasons with which opening an upstream leg can end, ok included.
	DialReasons []string
	// LoginMethods are the ways in which clients can be let in.
	LoginMethods []string
	// Status is behind pgorigin_ready and pgorigin_draining; nil means a process that never starts.
	Status *Status
	// LogLinesDropped counts the log lines that were dropped; nil means none.
	LogLinesDropped func() uint64
}

// Metrics counts what pgorigin does. NewMetrics makes it; its methods may be called by several goroutines.
type Metrics struct {
	registry *prometheus.Registry

	sessionsOpen    *prometheus.GaugeVec
	sessions        *prometheus.CounterVec
	sessionDuration *prometheus.HistogramVec
	logins          *prometheus.CounterVec
	closes          *prometheus.CounterVec
	bytes           *prometheus.CounterVec
	cancels         *prometheus.CounterVec
	cancelEffects   *prometheus.CounterVec
	acceptErrors    *prometheus.CounterVec

	connects        *prometheus.CounterVec
	connectDuration *prometheus.HistogramVec
	handshakes      *prometheus.CounterVec
	resumptions     *prometheus.CounterVec
	fallbacks       *prometheus.CounterVec
	postQuantum     *prometheus.GaugeVec
	notAfter        *prometheus.GaugeVec

	certificateProblems *prometheus.CounterVec

	spareUses, spareEnds *prometheus.CounterVec

	reloads       *prometheus.CounterVec
	lastReload    *prometheus.GaugeVec
	reloadFailing *prometheus.GaugeVec

	probes  *prometheus.CounterVec
	probers *probeCollector
}

// NewMetrics returns metrics in a registry of their own: the global one would let any imported package add to ours.
func NewMetrics(opts Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	if opts.Status == nil {
		opts.Status = new(Status)
	}
	if opts.LogLinesDropped == nil {
		opts.LogLinesDropped = func() uint64 { return 0 }
	}
	m.makeSessionMetrics()
	m.makeUpstreamMetrics()
	m.makeReloadMetrics()
	m.makeCertificateMetrics()
	m.makeSpareMetrics()
	m.makeProbeMetrics()
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.sessionsOpen, m.sessions, m.sessionDuration, m.logins, m.closes, m.bytes, m.cancels, m.cancelEffects, m.acceptErrors,
		m.connects, m.connectDuration, m.handshakes, m.resumptions, m.fallbacks, m.postQuantum, m.notAfter, m.certificateProblems,
		m.spareUses, m.spareEnds,
		m.reloads, m.lastReload, m.reloadFailing, m.probes, m.probers,
		buildInfo(opts),
		stateGauge("pgorigin_ready", "Whether new clients are welcome, as in /readyz.",
			func() bool { return opts.Status.Ready() == nil }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "pgorigin_log_lines_dropped_total",
			Help: "Log lines dropped because the reader of stderr was too slow, or because writing failed.",
		}, func() float64 { return float64(opts.LogLinesDropped()) }),
		stateGauge("pgorigin_draining", "Whether the process has been told to stop and waits for its sessions.",
			opts.Status.isDraining),
	)
	for _, origin := range opts.Origins {
		m.initOrigin(origin, opts)
	}
	return m
}

// SessionOpened counts an accepted client. Every call is followed by one SessionEnded.
func (m *Metrics) SessionOpened(origin string) {
	m.sessionsOpen.WithLabelValues(origin).Inc()
}

// SessionEnd is what is counted of a session that is over.
type SessionEnd struct {
	Reason               string // one of Options.Reasons
	ClosedBy             string // one of the Closed constants
	Duration             time.Duration
	ToUpstream, ToClient int64 // bytes relayed
}

// SessionEnded counts a session at its end.
func (m *Metrics) SessionEnded(origin string, end SessionEnd) {
	m.sessionsOpen.WithLabelValues(origin).Dec()
	m.sessions.WithLabelValues(origin, end.Reason).Inc()
	m.closes.WithLabelValues(origin, known(end.ClosedBy, closers())).Inc()
	m.sessionDuration.WithLabelValues(origin).Observe(end.Duration.Seconds())
	m.bytes.WithLabelValues(origin, toUpstreamLabel).Add(float64(end.ToUpstream))
	m.bytes.WithLabelValues(origin, toClientLabel).Add(float64(end.ToClient))
}

// LoggedIn counts how long a login took that has come to its end, from the startup packet to the first ReadyForQuery.
// Method, one of Options.LoginMethods, is how the client was let in.
func (m *Metrics) LoggedIn(origin, method string, took time.Duration) {
	m.logins.WithLabelValues(origin, method).Inc()
	m.connectDuration.WithLabelValues(origin, loginPhase).Observe(took.Seconds())
}

// CancelRequest counts a cancel request for a session of ours by the reason with which it ended.
func (m *Metrics) CancelRequest(origin, reason string) {
	m.cancels.WithLabelValues(origin, reason).Inc()
}

// CancelUnknownKey counts a forwarded cancel request whose key no session of ours owns, however it ended.
func (m *Metrics) CancelUnknownKey(origin string) {
	m.cancels.WithLabelValues(origin, unknownKey).Inc()
}

// CancelSettled counts what a delivered cancel request did to its session: "canceled", "finished" or "none".
func (m *Metrics) CancelSettled(origin, effect string) {
	m.cancelEffects.WithLabelValues(origin, known(effect, cancelEffects())).Inc()
}

// AcceptFailed counts an error of the listener, such as running out of file descriptors.
func (m *Metrics) AcceptFailed(origin string) {
	m.acceptErrors.WithLabelValues(origin).Inc()
}

// Dial counts an attempt to open an upstream leg. A phase that was not reached has the duration zero and is left out.
func (m *Metrics) Dial(origin, reason string, connect, sslRequest, tls time.Duration) {
	m.connects.WithLabelValues(origin, reason).Inc()
	for i, took := range []time.Duration{connect, sslRequest, tls} {
		if took > 0 {
			m.connectDuration.WithLabelValues(origin, dialPhases()[i]).Observe(took.Seconds())
		}
	}
}

// Handshake counts a verified TLS handshake by version ("1.2", "1.3") and key-exchange group ("X25519", "P-256").
func (m *Metrics) Handshake(origin, version, group string) {
	m.handshakes.WithLabelValues(origin, known(version, versions()), known(group, groups())).Inc()
}

// Resumption counts a verified handshake that resumed a session.
func (m *Metrics) Resumption(origin string) { m.resumptions.WithLabelValues(origin).Inc() }

// CertificateNotAfter records when the certificate in that role, one of the Role constants, ends.
func (m *Metrics) CertificateNotAfter(origin, role string, t time.Time) {
	m.notAfter.WithLabelValues(origin, role).Set(float64(t.Unix()))
}

// handler serves the registry as Prometheus text. Scrapes are bounded in number and time, as everything on a health port
// is. The library's handler could compress and speak OpenMetrics, too, which is 0.3 MB that nobody asks a sidecar for.
func (m *Metrics) handler() http.Handler {
	scrapes := make(chan struct{}, maxScrapes)
	return http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case scrapes <- struct{}{}:
			defer func() { <-scrapes }()
		default:
			http.Error(w, "too many scrapes at a time", http.StatusServiceUnavailable)
			return
		}
		families, err := m.registry.Gather()
		if err != nil {
			http.Error(w, "gather metrics: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
		for _, family := range families {
			if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
				return // the scraper is gone
			}
		}
	}), scrapeTimeout, "gathering the metrics took too long\n")
}

// known returns value if it is one of values, else "other": a label never takes more values than were planned.
func known(value string, values []string) string {
	if slices.Contains(values, value) {
		return value
	}
	return other
}
