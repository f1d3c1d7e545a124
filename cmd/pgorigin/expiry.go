package main

import (
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// When a certificate is about to expire: with so much left, or with such a part of its life left if that is shorter.
// Certificates that live for hours and are renewed all the time would else never be out of the log.
const (
	expiresSoon, expiresSoonPart = 14 * 24 * time.Hour, 4
	expiresNow, expiresNowPart   = 3 * 24 * time.Hour, 16

	repeatExpiry  = 24 * time.Hour
	maxRemembered = 1000 // certificates; nobody has so many
)

// expiryLog remembers which certificates were warned of. It has no clock of its own: it is asked whenever certificates
// are looked at anyway, by a reload or a handshake.
type expiryLog struct {
	own func() (roots, client []*x509.Certificate) // nil: nobody's

	mu   sync.Mutex
	said map[string]time.Time // by fingerprint
}

// due reports whether cert, which is about to expire, has to be mentioned now.
func (e *expiryLog) due(cert *x509.Certificate, now time.Time) bool {
	sum := tlsorigin.Fingerprint(cert)
	e.mu.Lock()
	defer e.mu.Unlock()
	if said, ok := e.said[sum]; ok && now.Sub(said) < repeatExpiry {
		return false
	}
	if e.said == nil || len(e.said) >= maxRemembered {
		e.said = map[string]time.Time{}
	}
	e.said[sum] = now
	return true
}

// expiryLevel returns how loudly to speak of a certificate at now; ok is false if it is none that expires soon.
func expiryLevel(cert *x509.Certificate, now time.Time) (level zapcore.Level, ok bool) {
	left, life := cert.NotAfter.Sub(now), cert.NotAfter.Sub(cert.NotBefore)
	switch {
	case left < min(expiresNow, life/expiresNowPart):
		return zapcore.ErrorLevel, true
	case left < min(expiresSoon, life/expiresSoonPart):
		return zapcore.WarnLevel, true
	}
	return zapcore.InfoLevel, false
}

// expiringOwn warns of the configured certificates.
func (o *observer) expiringOwn(now time.Time) {
	if o.expiry.own == nil {
		return
	}
	roots, client := o.expiry.own()
	alive := slices.ContainsFunc(roots, func(cert *x509.Certificate) bool { return now.Before(cert.NotAfter) })
	for _, cert := range roots {
		// Beside one that is in force, an expired root is a leftover, which does no harm.
		if now.Before(cert.NotAfter) || !alive {
			o.expiring(health.RoleCA, cert, now)
		}
	}
	for _, cert := range client {
		o.expiring(health.RoleClient, cert, now)
	}
}

// expiringUpstream warns of what the upstream presented. Of several chains the one that holds longest counts.
func (o *observer) expiringUpstream(chains [][]*x509.Certificate, now time.Time) {
	var first *x509.Certificate
	for _, chain := range chains {
		if ends := slices.MinFunc(chain, byEnd); first == nil || ends.NotAfter.After(first.NotAfter) {
			first = ends
		}
	}
	if first != nil {
		o.expiring(health.RoleUpstream, first, now)
	}
}

func byEnd(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }

// expiring warns, once a day, of a certificate that expires soon or has expired.
func (o *observer) expiring(role string, cert *x509.Certificate, now time.Time) {
	level, ok := expiryLevel(cert, now)
	if !ok || !o.expiry.due(cert, now) {
		return
	}
	message := "certificate expires soon"
	if !now.Before(cert.NotAfter) {
		message = "certificate has expired"
	}
	if line := o.log.Check(level, message); line != nil {
		line.Write(zap.String("origin", o.origin), zap.String("role", role), text("subject", cert.Subject.String()),
			zap.String("sha256", tlsorigin.Fingerprint(cert)), zap.Time("not_after", cert.NotAfter),
			zap.Float64("left", cert.NotAfter.Sub(now).Round(time.Second).Seconds()), zap.String("cure", o.settings.rename(expiryCure(role))))
	}
}

func expiryCure(role string) string {
	switch role {
	case health.RoleCA:
		return "add the next CA to " + prefix + "TLS_CA_FILE"
	case health.RoleClient:
		return "renew it, in " + prefix + "TLS_CERT_FILE and " + prefix + "TLS_KEY_FILE"
	}
	return "renew the certificate of the server at " + prefix + "UPSTREAM_ADDR"
}
