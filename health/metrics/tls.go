package metrics

import (
	"time"

	"github.com/pgorigin/pgorigin/health"
)

// versions are the TLS versions that pgorigin can speak.
func versions() []string { return []string{"1.2", "1.3"} }

// groups are the key-exchange groups that Go can negotiate, by the names that operators write.
func groups() []string {
	return []string{
		"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024",
		"X25519", "P-256", "P-384", "P-521", other,
	}
}

// fallbacks are the kinds of ClientHello that follow one that got no answer.
func fallbacks() []string { return []string{"small_segments", "classical"} }

// postQuantumStates are what can be known about post-quantum key exchange with an address.
func postQuantumStates() []string {
	return []string{"negotiated", "server_lacks", "path_blocked", "disabled"}
}

func (m *Metrics) makeTLSMetrics() {
	m.handshakes = m.counter("pgorigin_tls_handshakes_total",
		"Verified TLS handshakes with the upstream, by protocol version and key-exchange group.",
		label{"version", versions()}, label{"group", groups()})
	m.resumptions = m.counter("pgorigin_tls_resumptions_total",
		"Verified TLS handshakes with the upstream that resumed a session; "+
			"they are among pgorigin_tls_handshakes_total.")
	m.fallbacks = m.counter("pgorigin_tls_fallbacks_total",
		"Connections that only came about by another ClientHello, after the first had vanished on the way.",
		label{"kind", fallbacks()})
	m.postQuantum = m.gauge("pgorigin_tls_post_quantum_state",
		"Number of upstream addresses by what is known about post-quantum key exchange with them.",
		label{"state", postQuantumStates()})
	m.certificateProblems = m.counter("pgorigin_upstream_certificate_problems_total",
		"Refused certificates of the upstream, by each reason that applied; "+
			"one certificate can count under several.",
		label{"reason", m.opts.CertificateReasons})
	m.notAfter = m.unsetGauge("pgorigin_tls_certificate_not_after_timestamp_seconds",
		"When a certificate ends, as Unix time; absent until the certificate has been seen.",
		label{name: "role"})
	m.reloads = m.counter("pgorigin_tls_reloads_total",
		"Looks at the certificate files, by result: "+
			"ok (new files are in force), unchanged, error, stalled (a mount does not answer).",
		label{"result", []string{
			health.ReloadOK, health.ReloadUnchanged, health.ReloadFailed, health.ReloadStalled,
		}})
	m.lastReload = m.unsetGauge("pgorigin_tls_last_reload_timestamp_seconds",
		"When the certificates that are in force were read, as Unix time; at first the start of the process.")
	m.reloadFailing = m.gauge("pgorigin_tls_reload_failing",
		"Whether the certificate files are wrong or stalled, so that older ones stay in force.")
}

// Handshake counts a verified TLS handshake by version ("1.2", "1.3") and key-exchange group ("X25519",
// "P-256").
func (m *Metrics) Handshake(origin, version, group string) {
	m.handshakes.WithLabelValues(origin, known(version, versions()), known(group, groups())).Inc()
}

// Resumption counts a verified handshake that resumed a session.
func (m *Metrics) Resumption(origin string) { m.resumptions.WithLabelValues(origin).Inc() }

// Fallback counts a connection whose first ClientHello got no answer, by the kind of the hello that did:
// "small_segments" or "classical".
func (m *Metrics) Fallback(origin, kind string) {
	m.fallbacks.WithLabelValues(origin, known(kind, fallbacks())).Inc()
}

// PostQuantumState moves an upstream address from one state to another: "negotiated", "server_lacks",
// "path_blocked" or "disabled". Before is empty for a new address, after for one that is forgotten.
func (m *Metrics) PostQuantumState(origin, before, after string) {
	if before != "" {
		m.postQuantum.WithLabelValues(origin, known(before, postQuantumStates())).Dec()
	}
	if after != "" {
		m.postQuantum.WithLabelValues(origin, known(after, postQuantumStates())).Inc()
	}
}

// CertificateProblem counts one reason that refused a certificate of the upstream.
func (m *Metrics) CertificateProblem(origin, reason string) {
	m.certificateProblems.WithLabelValues(origin, reason).Inc()
}

// CertificateNotAfter records when the certificate in that role ends. Role is one of the Role constants of
// health.
func (m *Metrics) CertificateNotAfter(origin, role string, t time.Time) {
	m.notAfter.WithLabelValues(origin, role).Set(float64(t.Unix()))
}

// Loaded records when the certificates of an origin were read first.
func (m *Metrics) Loaded(origin string, at time.Time) {
	m.lastReload.WithLabelValues(origin).Set(float64(at.Unix()))
}

// Reloaded counts a check of the certificate files. Result is one of the Reload constants of health.
func (m *Metrics) Reloaded(origin, result string, at time.Time) {
	m.reloads.WithLabelValues(origin, result).Inc()
	if result == health.ReloadOK {
		m.Loaded(origin, at)
	}
	failing := oneIf(result == health.ReloadFailed || result == health.ReloadStalled)
	m.reloadFailing.WithLabelValues(origin).Set(failing)
}
