package health

import "github.com/prometheus/client_golang/prometheus"

// spareUses are what can come of asking for a warm spare.
func spareUses() []string { return []string{"hit", "miss", "dead"} }

// spareEnds are why a warm spare is closed unused.
func spareEnds() []string {
	return []string{"age", "dead", "trust", "address", "unhealthy", "closed"}
}

func (m *Metrics) makeSpareMetrics() {
	m.spareUses = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_warm_spare_checkouts_total",
		Help: "Upstream connections wanted: hit if a spare was there, miss if not, and dead for each hit that had to be replaced.",
	}, []string{"origin", "result"})
	m.spareEnds = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_warm_spares_discarded_total",
		Help: "Spare upstream connections that were closed unused, by cause.",
	}, []string{"origin", "cause"})
}

// WarmSpares makes the gauge of an origin's spares that could be handed out. It is called once for each origin, and ready
// with every scrape.
func (m *Metrics) WarmSpares(origin string, ready func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "pgorigin_warm_spares_ready",
		Help:        "Upstream connections that are kept ready ahead of clients.",
		ConstLabels: prometheus.Labels{"origin": origin},
	}, func() float64 { return float64(ready()) }))
}

func (m *Metrics) initSpares(origin string) {
	for _, use := range spareUses() {
		m.spareUses.WithLabelValues(origin, use)
	}
	for _, end := range spareEnds() {
		m.spareEnds.WithLabelValues(origin, end)
	}
}

// SpareUsed counts what came of asking for a spare: "hit", "miss" or "dead".
func (m *Metrics) SpareUsed(origin, use string) {
	m.spareUses.WithLabelValues(origin, known(use, spareUses())).Inc()
}

// SpareDiscarded counts a spare that was closed unused: "age", "dead", "trust", "address", "unhealthy" or "closed".
func (m *Metrics) SpareDiscarded(origin, cause string) {
	m.spareEnds.WithLabelValues(origin, known(cause, spareEnds())).Inc()
}
