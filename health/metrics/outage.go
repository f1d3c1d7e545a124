package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of a client's wait for the upstream.
const (
	WaitServed  = "served"  // it got a connection
	WaitFailed  = "failed"  // its time was over, or the upstream failed in a way that no wait cures
	WaitAborted = "aborted" // the client left, or pgorigin ended
)

func waitResults() []string { return []string{WaitServed, WaitFailed, WaitAborted} }

func (m *Metrics) makeOutageMetrics() {
	m.waits = m.histogram("pgorigin_upstream_wait_duration_seconds",
		"How long clients waited for an upstream that was away, by result: "+
			"served, failed, or aborted (the client left, or pgorigin ended).",
		[]float64{.1, .5, 1, 2.5, 5, 10, 15, 30, 60}, label{"result", waitResults()})
	m.waitProbes = m.counter("pgorigin_upstream_wait_probes_total",
		"Dials that pgorigin made for all waiting clients together, by outcome.",
		label{"reason", m.opts.DialReasons})
	m.addresses = &addressStates{
		desc: prometheus.NewDesc("pgorigin_upstream_addresses",
			"Remembered addresses of the upstream, by state.", []string{"origin", "state"}, nil),
		states: m.opts.AddressStates,
	}
	m.registry.MustRegister(m.addresses)
}

// WaitingClients makes the gauge of an origin's clients that wait for the upstream. Call it once for each
// origin. Each scrape calls count.
func (m *Metrics) WaitingClients(origin string, count func() int) {
	m.originGauge("pgorigin_upstream_waiting_clients",
		"Clients that wait now, because the upstream is away.", origin, count)
}

// Waited counts a client that has waited. Result is one of the Wait constants.
func (m *Metrics) Waited(origin, result string, took time.Duration) {
	m.waits.WithLabelValues(origin, known(result, waitResults())).Observe(took.Seconds())
}

// WaitProbed counts a connection that was tried on behalf of waiting clients. Reason is one of
// Options.DialReasons.
func (m *Metrics) WaitProbed(origin, reason string) {
	m.waitProbes.WithLabelValues(origin, reason).Inc()
}

// WatchAddresses adds the states of an origin's addresses to every scrape. Each scrape calls states, which
// returns the state of each address.
func (m *Metrics) WatchAddresses(origin string, states func() []string) {
	m.addresses.mu.Lock()
	defer m.addresses.mu.Unlock()
	m.addresses.origins = append(m.addresses.origins, originAddresses{origin, states})
}

// addressStates is a collector. The label has the state and not the address: addresses come and go, and each
// would leave a series behind.
type addressStates struct {
	desc   *prometheus.Desc
	states []string // all of them

	mu      sync.Mutex
	origins []originAddresses
}

type originAddresses struct {
	origin string
	states func() []string
}

// Describe sends the description of the gauge.
func (c *addressStates) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect sends a number for each state.
func (c *addressStates) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.origins {
		counts := map[string]int{}
		for _, state := range o.states() {
			counts[known(state, c.states)]++
		}
		for _, state := range c.states {
			to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(counts[state]), o.origin, state)
		}
	}
}
