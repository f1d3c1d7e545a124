package health

import "github.com/prometheus/client_golang/prometheus"

// fallbacks are the kinds of ClientHello that are tried after one with a hybrid key share has vanished.
func fallbacks() []string { return []string{"small_segments", "classical"} }

// pathStates are what can be known about post-quantum key exchange with an address.
func pathStates() []string { return []string{"negotiated", "server_lacks", "path_blocked", "disabled"} }

func (m *Metrics) makePathMetrics() {
	m.fallbacks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_tls_fallbacks_total",
		Help: "Connections that only came about by another ClientHello, after the first had vanished on the way.",
	}, []string{"origin", "kind"})
	m.postQuantum = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pgorigin_tls_post_quantum_state",
		Help: "Number of upstream addresses by what is known about post-quantum key exchange with them.",
	}, []string{"origin", "state"})
}

func (m *Metrics) initPaths(origin string) {
	for _, kind := range fallbacks() {
		m.fallbacks.WithLabelValues(origin, kind)
	}
	for _, state := range pathStates() {
		m.postQuantum.WithLabelValues(origin, state)
	}
}

// Fallback counts a connection that came about by another ClientHello of that kind: "small_segments" or "classical".
func (m *Metrics) Fallback(origin, kind string) {
	m.fallbacks.WithLabelValues(origin, known(kind, fallbacks())).Inc()
}

// PostQuantumState moves one upstream address from a state to another: "negotiated", "server_lacks", "path_blocked" or
// "disabled"; empty is for an address that is not known yet, or no longer.
func (m *Metrics) PostQuantumState(origin, before, after string) {
	if before != "" {
		m.postQuantum.WithLabelValues(origin, known(before, pathStates())).Dec()
	}
	if after != "" {
		m.postQuantum.WithLabelValues(origin, known(after, pathStates())).Inc()
	}
}
