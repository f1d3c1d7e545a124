package health

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

func (m *Metrics) makeProbeMetrics() {
	m.probes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_probes_total",
		Help: "Background probes of the upstream, by outcome; sessions are not among them.",
	}, []string{"origin", "reason"})
	m.probers = &probeCollector{
		up: prometheus.NewDesc("pgorigin_upstream_up",
			"Whether sessions or probes have reached and verified the upstream lately; absent until one has tried.",
			[]string{"origin"}, nil),
		verified: prometheus.NewDesc("pgorigin_upstream_last_verified_timestamp_seconds",
			"When the upstream was last reached and verified, as Unix time; absent until it was.",
			[]string{"origin"}, nil),
	}
}

func (m *Metrics) initProbes(origin string, opts Options) {
	for _, reason := range opts.DialReasons {
		m.probes.WithLabelValues(origin, reason)
	}
}

// Probed counts a background probe.
func (m *Metrics) Probed(origin, reason string) { m.probes.WithLabelValues(origin, reason).Inc() }

// WatchProber makes what p knows a part of every scrape.
func (m *Metrics) WatchProber(origin string, p *Prober) {
	m.probers.mu.Lock()
	defer m.probers.mu.Unlock()
	m.probers.all = append(m.probers.all, labelledProber{origin, p})
}

// probeCollector asks the probers when it is scraped. Gauges that are set would have to exist before anything is known,
// and a zero would read as an outage in every new pod.
type probeCollector struct {
	up, verified *prometheus.Desc

	mu  sync.Mutex
	all []labelledProber
}

type labelledProber struct {
	origin string
	prober *Prober
}

// Describe sends the descriptions of both series.
func (c *probeCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.up
	to <- c.verified
}

// Collect sends what is known by now.
func (c *probeCollector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.all {
		probe := l.prober.Snapshot()
		switch probe.State {
		case ProbeUp:
			to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 1, l.origin)
		case ProbeDown:
			to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 0, l.origin)
		}
		if !probe.LastSuccess.IsZero() {
			to <- prometheus.MustNewConstMetric(c.verified, prometheus.GaugeValue, float64(probe.LastSuccess.Unix()), l.origin)
		}
	}
}
