package metrics

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgorigin/pgorigin/health"
)

const (
	// scrapeTimeout bounds how long the metrics of one scrape are gathered and encoded.
	scrapeTimeout = 5 * time.Second
	// maxScrapes bounds how many scrapes are gathered and encoded at a time. Others are refused with 503.
	maxScrapes = 4
)

// Options lists the label values, so that every counter exists at zero before its first event.
type Options struct {
	Version, Revision, GoVersion string // of pgorigin_build_info
	Origins                      []string
	// Reasons are the reasons with which sessions and cancel requests end.
	Reasons []string
	// DialReasons are the reasons with which an attempt to connect to the upstream ends, ok included.
	DialReasons []string
	// CertificateReasons are the reasons with which a certificate of the upstream is refused.
	CertificateReasons []string
	// LoginMethods are the authentication methods of clients.
	LoginMethods []string
	// CancelEffects are the effects that a delivered cancel request can have on its session.
	CancelEffects []string
	// AddressStates are the states of an address of the upstream.
	AddressStates []string
	// Status feeds pgorigin_ready and pgorigin_draining. Nil means a process that never starts.
	Status *health.Status
	// LogLinesDropped returns the number of log lines that were dropped. Nil means none.
	LogLinesDropped func() uint64
}

// Metrics counts what pgorigin does. New makes it. Several goroutines may call its methods.
type Metrics struct {
	registry *prometheus.Registry
	opts     Options

	sessionsOpen    *prometheus.GaugeVec
	sessions        *prometheus.CounterVec
	sessionDuration *prometheus.HistogramVec
	logins          *prometheus.CounterVec
	closes          *prometheus.CounterVec
	bytes           *prometheus.CounterVec
	cancels         *prometheus.CounterVec
	cancelEffects   *prometheus.CounterVec
	acceptErrors    *prometheus.CounterVec

	connects             *prometheus.CounterVec
	connectDuration      *prometheus.HistogramVec
	spareUses, spareEnds *prometheus.CounterVec
	probes               *prometheus.CounterVec
	states               *upstreamStates

	waits      *prometheus.HistogramVec
	waitProbes *prometheus.CounterVec
	addresses  *addressStates

	handshakes          *prometheus.CounterVec
	resumptions         *prometheus.CounterVec
	fallbacks           *prometheus.CounterVec
	postQuantum         *prometheus.GaugeVec
	notAfter            *prometheus.GaugeVec
	certificateProblems *prometheus.CounterVec
	reloads             *prometheus.CounterVec
	lastReload          *prometheus.GaugeVec
	reloadFailing       *prometheus.GaugeVec
}

// New returns metrics in a registry of their own, to which no imported package can add.
func New(opts Options) *Metrics {
	if opts.Status == nil {
		opts.Status = new(health.Status)
	}
	if opts.LogLinesDropped == nil {
		opts.LogLinesDropped = func() uint64 { return 0 }
	}
	m := &Metrics{registry: prometheus.NewRegistry(), opts: opts}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.makeProcessMetrics()
	m.makeSessionMetrics()
	m.makeUpstreamMetrics()
	m.makeOutageMetrics()
	m.makeTLSMetrics()
	return m
}

// Handler serves the metrics. Its response is complete before the first byte is sent, so a slow reader holds
// none of the maxScrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
		EnableOpenMetrics:   true,
	})
}

func (m *Metrics) makeProcessMetrics() {
	auto := promauto.With(m.registry)
	auto.NewGauge(prometheus.GaugeOpts{
		Name: "pgorigin_build_info",
		Help: "Constant 1, labelled with what was built and with which Go.",
		ConstLabels: prometheus.Labels{
			"version": m.opts.Version, "revision": m.opts.Revision, "goversion": m.opts.GoVersion,
		},
	}).Set(1)
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pgorigin_ready",
		Help: "Whether new clients are welcome, as in /readyz.",
	}, func() float64 { return oneIf(m.opts.Status.Ready() == nil) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pgorigin_draining",
		Help: "Whether the process has been told to stop and waits for its sessions.",
	}, func() float64 { return oneIf(m.opts.Status.Draining()) })
	auto.NewCounterFunc(prometheus.CounterOpts{
		Name: "pgorigin_log_lines_dropped_total",
		Help: "Log lines dropped because the reader of stderr was too slow, or because writing failed.",
	}, func() float64 { return float64(m.opts.LogLinesDropped()) })
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// label is a label beside origin, with all its values.
type label struct {
	name   string
	values []string
}

// counter makes a counter with a series at zero for each origin and each combination of label values.
func (m *Metrics) counter(name, help string, labels ...label) *prometheus.CounterVec {
	vec := promauto.With(m.registry).NewCounterVec(
		prometheus.CounterOpts{Name: name, Help: help}, names(labels))
	for _, values := range m.series(labels) {
		vec.WithLabelValues(values...)
	}
	return vec
}

// gauge is like counter. A gauge whose value is unknown at first is made by unsetGauge.
func (m *Metrics) gauge(name, help string, labels ...label) *prometheus.GaugeVec {
	vec := m.unsetGauge(name, help, labels...)
	for _, values := range m.series(labels) {
		vec.WithLabelValues(values...)
	}
	return vec
}

// unsetGauge makes a gauge that has no series until one is set.
func (m *Metrics) unsetGauge(name, help string, labels ...label) *prometheus.GaugeVec {
	return promauto.With(m.registry).NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, names(labels))
}

// histogram is like counter.
func (m *Metrics) histogram(name, help string, buckets []float64, labels ...label) *prometheus.HistogramVec {
	vec := promauto.With(m.registry).NewHistogramVec(
		prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, names(labels))
	for _, values := range m.series(labels) {
		vec.WithLabelValues(values...)
	}
	return vec
}

// originGauge makes a gauge of one origin. Each scrape calls value.
func (m *Metrics) originGauge(name, help, origin string, value func() int) {
	promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: prometheus.Labels{"origin": origin},
	}, func() float64 { return float64(value()) })
}

func names(labels []label) []string {
	all := []string{"origin"}
	for _, l := range labels {
		all = append(all, l.name)
	}
	return all
}

// series returns the label values of each series: every origin with every combination of the other labels.
func (m *Metrics) series(labels []label) [][]string {
	all := [][]string{}
	for _, origin := range m.opts.Origins {
		all = append(all, []string{origin})
	}
	for _, l := range labels {
		longer := [][]string{}
		for _, values := range all {
			for _, value := range l.values {
				longer = append(longer, append(slices.Clone(values), value))
			}
		}
		all = longer
	}
	return all
}

// other is the label value for an unknown value.
const other = "other"

// known returns value if it is one of values, else other.
func known(value string, values []string) string {
	if slices.Contains(values, value) {
		return value
	}
	return other
}
