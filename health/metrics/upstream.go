package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgorigin/pgorigin/health"
)

// dialPhases are the steps of a connection to the upstream, in the order of Dial's arguments.
func dialPhases() []string { return []string{"tcp", "sslrequest", "tls"} }

// loginPhase follows the dialPhases.
const loginPhase = "login"

// spareUses are the outcomes of asking for a warm spare.
func spareUses() []string { return []string{"hit", "miss", "dead"} }

// spareEnds are the causes for closing a warm spare unused.
func spareEnds() []string {
	return []string{"age", "dead", "trust", "address", "unhealthy", "closed"}
}

func (m *Metrics) makeUpstreamMetrics() {
	reasons := label{"reason", m.opts.DialReasons}
	m.connects = m.counter("pgorigin_upstream_connects_total",
		"Attempts to open a verified connection to the upstream, by outcome.", reasons)
	m.connectDuration = m.histogram("pgorigin_upstream_connect_duration_seconds",
		"Time spent in each phase of a client's way to the upstream: "+
			"tcp, sslrequest and tls also of failed attempts, login of successful ones.",
		[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		label{"phase", append(dialPhases(), loginPhase)})
	m.spareUses = m.counter("pgorigin_warm_spare_checkouts_total",
		"Upstream connections wanted: hit if a spare was there, miss if not, "+
			"and dead for each hit that had to be replaced.",
		label{"result", spareUses()})
	m.spareEnds = m.counter("pgorigin_warm_spares_discarded_total",
		"Spare upstream connections that were closed unused, by cause.",
		label{"cause", spareEnds()})
	m.probes = m.counter("pgorigin_probes_total",
		"Background probes of the upstream, by outcome; sessions are not among them.", reasons)
	m.states = &upstreamStates{
		up: prometheus.NewDesc("pgorigin_upstream_up",
			"Whether sessions or probes have reached and verified the upstream lately; "+
				"absent until one has tried.",
			[]string{"origin"}, nil),
		verified: prometheus.NewDesc("pgorigin_upstream_last_verified_timestamp_seconds",
			"When the upstream was last reached and verified, as Unix time; absent until it was.",
			[]string{"origin"}, nil),
	}
	m.registry.MustRegister(m.states)
}

// Dial counts an attempt to connect to the upstream. The duration of a phase that was not reached is zero.
func (m *Metrics) Dial(origin, reason string, connect, sslRequest, tls time.Duration) {
	m.connects.WithLabelValues(origin, reason).Inc()
	for i, took := range []time.Duration{connect, sslRequest, tls} {
		if took > 0 {
			m.connectDuration.WithLabelValues(origin, dialPhases()[i]).Observe(took.Seconds())
		}
	}
}

// WarmSpares makes the gauge of an origin's spares that are ready. Call it once for each origin. Each scrape
// calls ready.
func (m *Metrics) WarmSpares(origin string, ready func() int) {
	m.originGauge("pgorigin_warm_spares_ready",
		"Upstream connections that are kept ready ahead of clients.", origin, ready)
}

// SpareUsed counts the outcome of asking for a spare: "hit", "miss" or "dead".
func (m *Metrics) SpareUsed(origin, use string) {
	m.spareUses.WithLabelValues(origin, known(use, spareUses())).Inc()
}

// SpareDiscarded counts a spare that was closed unused: "age", "dead", "trust", "address", "unhealthy" or
// "closed".
func (m *Metrics) SpareDiscarded(origin, cause string) {
	m.spareEnds.WithLabelValues(origin, known(cause, spareEnds())).Inc()
}

// Probed counts a background probe by its outcome, one of Options.DialReasons.
func (m *Metrics) Probed(origin, reason string) { m.probes.WithLabelValues(origin, reason).Inc() }

// WatchProber adds what is known about an upstream to every scrape. Each scrape calls probe.
func (m *Metrics) WatchProber(origin string, probe func() health.Probe) {
	m.states.mu.Lock()
	defer m.states.mu.Unlock()
	m.states.upstreams = append(m.states.upstreams, upstreamState{origin, probe})
}

// upstreamStates is a collector of two gauges that are absent until their value is known.
type upstreamStates struct {
	up, verified *prometheus.Desc

	mu        sync.Mutex
	upstreams []upstreamState
}

type upstreamState struct {
	origin string
	probe  func() health.Probe
}

// Describe sends the descriptions of both gauges.
func (c *upstreamStates) Describe(to chan<- *prometheus.Desc) {
	to <- c.up
	to <- c.verified
}

// Collect sends the values that are known.
func (c *upstreamStates) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.upstreams {
		probe := u.probe()
		if probe.State != health.ProbeUnknown {
			up := oneIf(probe.State == health.ProbeUp)
			to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up, u.origin)
		}
		if !probe.LastSuccess.IsZero() {
			at := float64(probe.LastSuccess.Unix())
			to <- prometheus.MustNewConstMetric(c.verified, prometheus.GaugeValue, at, u.origin)
		}
	}
}
