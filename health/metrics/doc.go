// Package metrics counts what pgorigin does and serves the counts to Prometheus.
//
// [Metrics] has a method for each event: SessionOpened, Dial, Reloaded and so on. The caller tells it words
// and numbers; the package knows neither sessions nor TLS. Handler serves the counts in Prometheus' text
// format or in OpenMetrics, compressed if the scraper asks for it.
//
// Two rules hold for every metric:
//
//   - A counter exists at zero before its first event. Otherwise rate() and alerts would lose that event.
//     For this, [Options] lists every value that a label can take.
//   - A time or a state that is not known yet is absent. At zero it would read as "ended in 1970" or as an
//     outage.
//
// No label takes a value that was not planned: known replaces such a value by "other".
//
// Start reading at New in metrics.go. sessions.go has what is counted of clients, upstream.go what is counted
// of connections to the upstream, tls.go what is counted of certificates and handshakes.
package metrics
