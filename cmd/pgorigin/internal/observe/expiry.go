package observe

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

const (
	repeatExpiry  = 24 * time.Hour
	maxRemembered = 1000 // certificates
)

// expiryReminder remembers when a warning of a certificate was logged. It has no timer: reloads and
// handshakes check certificates.
type expiryReminder struct {
	own   func() (roots, client []*x509.Certificate) // configured certificates; nil: none
	lists func() time.Time                           // end of the first revocation list; nil or zero: none
	shown func() *x509.Certificate                   // what clients with TLS see, from files; nil: none

	mu   sync.Mutex
	said map[string]time.Time // by fingerprint, and RoleCRL for revocation lists; may be nil
}

// due reports whether a warning of key has to be logged now, and takes it for logged.
func (e *expiryReminder) due(key string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if said, ok := e.said[key]; ok && now.Sub(said) < repeatExpiry {
		return false
	}
	if e.said == nil || len(e.said) >= maxRemembered {
		e.said = map[string]time.Time{}
	}
	e.said[key] = now
	return true
}

// roleCertificate is a certificate and its purpose.
type roleCertificate struct {
	role string
	cert *x509.Certificate
}

// configured returns the configured certificates that can cause trouble.
func (e *expiryReminder) configured(now time.Time) []roleCertificate {
	if e.own == nil {
		return nil
	}
	roots, client := e.own()
	var list []roleCertificate
	valid := func(cert *x509.Certificate) bool { return now.Before(cert.NotAfter) }
	alive := slices.ContainsFunc(roots, valid)
	for _, cert := range roots {
		// An expired root does no harm while another one is valid.
		if valid(cert) || !alive {
			list = append(list, roleCertificate{health.RoleCA, cert})
		}
	}
	for _, cert := range client {
		list = append(list, roleCertificate{health.RoleClient, cert})
	}
	if e.shown != nil {
		list = append(list, roleCertificate{health.RoleListener, e.shown()})
	}
	return list
}

// crlExpired returns since when a revocation list is out of date. Zero means that none is.
func (e *expiryReminder) crlExpired(now time.Time) time.Time {
	if e.lists == nil {
		return time.Time{}
	}
	if end := e.lists(); end.Before(now) {
		return end
	}
	return time.Time{}
}

// CheckExpiry warns of configured certificates and revocation lists that expire soon or have expired.
func (o *Observer) CheckExpiry(now time.Time) {
	if end := o.expiry.crlExpired(now); !end.IsZero() && o.expiry.due(health.RoleCRL, now) {
		o.log.Warn("revocation list has run out", zap.String("origin", o.origin), moment("not_after", end),
			zap.String("cure", advice.ExpiryCure(health.RoleCRL, o.settings)))
	}
	for _, c := range o.expiry.configured(now) {
		o.warnOfExpiry(c.role, c.cert, now)
	}
}

// checkUpstreamExpiry warns of the certificates that the upstream presented.
func (o *Observer) checkUpstreamExpiry(chains [][]*x509.Certificate, now time.Time) {
	if chain := lastingChain(chains); chain != nil {
		o.warnOfExpiry(health.RoleUpstream, firstToEnd(chain), now)
	}
}

// expiryNote names the certificates, the upstream's included, that expire soon or have expired, with their
// cures. Readiness does not depend on it, because all pods would fail at once.
func (o *Observer) expiryNote() string {
	now := time.Now()
	list := o.expiry.configured(now)
	if chain := o.latest.lastChain(); chain != nil {
		list = append(list, roleCertificate{health.RoleUpstream, firstToEnd(chain)})
	}
	var texts []string
	if end := o.expiry.crlExpired(now); !end.IsZero() {
		texts = append(texts, fmt.Sprintf("the revocation list has run out at %s: %s",
			end.UTC().Format(time.RFC3339), advice.ExpiryCure(health.RoleCRL, o.settings)))
	}
	for _, c := range list {
		if advice.Expiry(c.cert.NotBefore, c.cert.NotAfter, now) == advice.NotUrgent {
			continue
		}
		verb := "expires"
		if !now.Before(c.cert.NotAfter) {
			verb = "has expired"
		}
		d := tlsorigin.Describe([]*x509.Certificate{c.cert}, now)[0]
		texts = append(texts, fmt.Sprintf("%s certificate %s %s %s: %s", c.role, d.Subject, verb,
			d.NotAfter.Format(time.RFC3339), advice.ExpiryCure(c.role, o.settings)))
	}
	return strings.Join(texts, "; ")
}

// warnOfExpiry warns once a day of a certificate that expires soon or has expired.
func (o *Observer) warnOfExpiry(role string, cert *x509.Certificate, now time.Time) {
	urgency := advice.Expiry(cert.NotBefore, cert.NotAfter, now)
	if urgency == advice.NotUrgent || !o.expiry.due(tlsorigin.Fingerprint(cert), now) {
		return
	}
	level, message := zap.WarnLevel, "certificate expires soon"
	if urgency == advice.Now {
		level = zap.ErrorLevel
	}
	if !now.Before(cert.NotAfter) {
		message = "certificate has expired"
	}
	if line := o.log.Check(level, message); line != nil {
		d := tlsorigin.Describe([]*x509.Certificate{cert}, now)[0]
		line.Write(zap.String("origin", o.origin), zap.String("role", role), zap.String("subject", d.Subject),
			zap.String("sha256", tlsorigin.Fingerprint(cert)), moment("not_after", cert.NotAfter),
			zap.Float64("left", cert.NotAfter.Sub(now).Round(time.Second).Seconds()),
			zap.String("cure", advice.ExpiryCure(role, o.settings)))
	}
}
