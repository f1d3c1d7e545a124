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
	maxRemembered = 1000 // certificates; nobody has so many
)

// expiryLog remembers which certificates were warned of. It has no clock of its own: it is asked whenever
// certificates are looked at anyway, by a reload or a handshake.
type expiryLog struct {
	own func() (roots, client []*x509.Certificate) // nil: none
	// when the first newest revocation list runs out; nil or zero: there is none
	lists func() time.Time

	mu   sync.Mutex
	said map[string]time.Time // by fingerprint, or RoleCRL for the lists
}

// due reports whether what key stands for, which is about to expire, has to be mentioned now.
func (e *expiryLog) due(key string, now time.Time) bool {
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

// roleCertificate is a certificate and what it is for.
type roleCertificate struct {
	role string
	cert *x509.Certificate
}

// owned returns the configured certificates that matter at now.
func (e *expiryLog) owned(now time.Time) []roleCertificate {
	if e.own == nil {
		return nil
	}
	roots, client := e.own()
	alive := slices.ContainsFunc(roots,
		func(cert *x509.Certificate) bool { return now.Before(cert.NotAfter) })
	var list []roleCertificate
	for _, cert := range roots {
		// Beside one that is in force, an expired root is a leftover, which does no harm.
		if now.Before(cert.NotAfter) || !alive {
			list = append(list, roleCertificate{health.RoleCA, cert})
		}
	}
	for _, cert := range client {
		list = append(list, roleCertificate{health.RoleClient, cert})
	}
	return list
}

// listsOver returns since when an issuer's newest revocation list is out of date; zero: none is.
func (e *expiryLog) listsOver(now time.Time) time.Time {
	if e.lists == nil {
		return time.Time{}
	}
	if end := e.lists(); end.Before(now) {
		return end
	}
	return time.Time{}
}

// ExpiringOwn warns of the configured certificates and revocation lists.
func (o *Observer) ExpiringOwn(now time.Time) {
	if end := o.expiry.listsOver(now); !end.IsZero() && o.expiry.due(health.RoleCRL, now) {
		o.Log.Warn("revocation list has run out", zap.String("origin", o.origin), zap.Time("not_after", end),
			zap.String("cure", advice.ExpiryCure(health.RoleCRL, o.settings)))
	}
	for _, c := range o.expiry.owned(now) {
		o.expiring(c.role, c.cert, now)
	}
}

// expiringUpstream warns of what the upstream presented.
func (o *Observer) expiringUpstream(chains [][]*x509.Certificate, now time.Time) {
	if chain := lastingChain(chains); chain != nil {
		o.expiring(health.RoleUpstream, firstToEnd(chain), now)
	}
}

// ExpiryNote says which certificates, the upstream's included, have expired or will soon, and what to do;
// empty if none will. It is no condition of readiness, for it would hit all pods at once.
func (o *Observer) ExpiryNote() string {
	now := time.Now()
	list := o.expiry.owned(now)
	if chain := o.Latest.lastChain(); chain != nil {
		list = append(list, roleCertificate{health.RoleUpstream, firstToEnd(chain)})
	}
	var texts []string
	if end := o.expiry.listsOver(now); !end.IsZero() {
		texts = append(texts,
			fmt.Sprintf("the revocation list has run out at %s: %s", end.UTC().Format(time.RFC3339),
				advice.ExpiryCure(health.RoleCRL, o.settings)))
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
		texts = append(texts,
			fmt.Sprintf("%s certificate %s %s %s: %s", c.role, d.Subject, verb,
				d.NotAfter.Format(time.RFC3339),
				advice.ExpiryCure(c.role, o.settings)))
	}
	return strings.Join(texts, "; ")
}

// expiring warns, once a day, of a certificate that expires soon or has expired.
func (o *Observer) expiring(role string, cert *x509.Certificate, now time.Time) {
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
	if line := o.Log.Check(level, message); line != nil {
		line.Write(zap.String("origin", o.origin), zap.String("role", role),
			zap.String("subject", tlsorigin.Describe([]*x509.Certificate{cert}, now)[0].Subject),
			zap.String("sha256", tlsorigin.Fingerprint(cert)), zap.Time("not_after", cert.NotAfter),
			zap.Float64("left", cert.NotAfter.Sub(now).Round(time.Second).Seconds()),
			zap.String("cure", advice.ExpiryCure(role, o.settings)))
	}
}
