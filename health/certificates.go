package health

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

func (m *Metrics) makeCertificateMetrics() {
	m.certificateProblems = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_upstream_certificate_problems_total",
		Help: "Refused certificates of the upstream, by each reason that applied; one certificate can count under several.",
	}, []string{"origin", "reason"})
}

func (m *Metrics) initCertificates(origin string, opts Options) {
	for _, reason := range opts.DialReasons {
		if strings.HasPrefix(reason, "cert_") {
			m.certificateProblems.WithLabelValues(origin, reason)
		}
	}
}

// CertificateProblem counts one reason for which the upstream's certificate was refused.
func (m *Metrics) CertificateProblem(origin, reason string) {
	m.certificateProblems.WithLabelValues(origin, reason).Inc()
}
