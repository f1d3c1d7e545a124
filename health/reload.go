package health

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How a look at the certificate files ended: values of the result label of pgorigin_tls_reloads_total.
const (
	ReloadOK        = "ok"        // they had changed, and the new ones are in force
	ReloadUnchanged = "unchanged" // they hold what is in force
	ReloadFailed    = "error"     // they are wrong; what was in force stays
	ReloadStalled   = "stalled"   // they cannot be read, for their mount does not answer; what was in force stays
)

func (m *Metrics) makeReloadMetrics() {
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_tls_reloads_total",
		Help: "Looks at the certificate files, by result: ok (new files are in force), unchanged, error, stalled (a mount does not answer).",
	}, []string{"origin", "result"})
	m.lastReload = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pgorigin_tls_last_reload_timestamp_seconds",
		Help: "When the certificates that are in force were read, as Unix time; at first the start of the process.",
	}, []string{"origin"})
	m.reloadFailing = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pgorigin_tls_reload_failing",
		Help: "Whether the certificate files are wrong or stalled, so that older ones stay in force.",
	}, []string{"origin"})
}

func (m *Metrics) initReloads(origin string) {
	for _, result := range []string{ReloadOK, ReloadUnchanged, ReloadFailed, ReloadStalled} {
		m.reloads.WithLabelValues(origin, result)
	}
	m.reloadFailing.WithLabelValues(origin)
}

// Loaded records when the certificates of an origin were read first.
func (m *Metrics) Loaded(origin string, at time.Time) {
	m.lastReload.WithLabelValues(origin).Set(float64(at.Unix()))
}

// Reloaded counts a look at the certificate files; result is one of the Reload constants.
func (m *Metrics) Reloaded(origin, result string, at time.Time) {
	m.reloads.WithLabelValues(origin, result).Inc()
	failing := 0.0
	switch result {
	case ReloadOK:
		m.Loaded(origin, at)
	case ReloadFailed, ReloadStalled:
		failing = 1
	}
	m.reloadFailing.WithLabelValues(origin).Set(failing)
}
