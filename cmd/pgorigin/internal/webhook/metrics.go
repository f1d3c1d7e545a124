package webhook

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
)

const (
	// scrapeTimeout bounds how long the metrics of one scrape are gathered and encoded.
	scrapeTimeout = 5 * time.Second
	// maxScrapes bounds how many scrapes are gathered and encoded at a time. Others are refused with 503.
	maxScrapes = 4
)

// metrics counts what the webhook does. Several goroutines may use it.
type metrics struct {
	registry *prometheus.Registry
	reviews  *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

// newMetrics makes the metrics of a webhook. Each scrape asks for the state of pair and for defaults, which is
// nil or what is wrong with them.
func newMetrics(build cli.Build, pair *keypair.Pair, defaults func() error) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	auto := promauto.With(m.registry)
	m.reviews = auto.NewCounterVec(prometheus.CounterOpts{
		Name: "pgorigin_webhook_reviews_total", Help: "Reviews by what became of the pod, or error.",
	}, []string{"result"})
	for _, result := range []string{"injected", "refused", "left_alone", "error"} {
		m.reviews.WithLabelValues(result)
	}
	m.duration = auto.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "pgorigin_webhook_review_duration_seconds",
		Help:    "From the request's head to the end of the answer. API servers wait for 5 seconds.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, nil)
	m.duration.WithLabelValues()
	m.inFlight = auto.NewGauge(prometheus.GaugeOpts{
		Name: "pgorigin_webhook_reviews_in_flight", Help: "Reviews that are not answered yet.",
	})
	auto.NewGauge(prometheus.GaugeOpts{
		Name: "pgorigin_build_info", Help: "Constant 1, labelled with what was built and with which Go.",
		ConstLabels: prometheus.Labels{
			"version": build.Version, "revision": build.Revision, "goversion": build.Go,
		},
	}).Set(1)
	gauge := func(name, help string, value func() float64) {
		auto.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	gauge("pgorigin_webhook_certificate_not_after_timestamp_seconds", "When the certificate in use expires.",
		func() float64 {
			until, _ := pair.State()
			return float64(until.Unix())
		})
	gauge("pgorigin_webhook_certificate_ok", "Whether the certificate in the files is in use and valid.",
		func() float64 {
			_, err := pair.State()
			return oneIf(err == nil)
		})
	gauge("pgorigin_webhook_defaults_ok", "Whether the defaults can be used.",
		func() float64 { return oneIf(defaults() == nil) })
	return m
}

// wrap serves GET /metrics and counts the reviews of next.
func (m *metrics) wrap(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout, EnableOpenMetrics: true,
	}))
	reviews := promhttp.InstrumentHandlerInFlight(m.inFlight,
		promhttp.InstrumentHandlerDuration(m.duration, next))
	mux.Handle("POST /inject", reviews)
	mux.Handle("POST /inject/required", reviews)
	mux.Handle("/", next)
	return mux
}

func oneIf(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
