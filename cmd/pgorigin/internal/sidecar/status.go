package sidecar

import (
	"crypto/fips140"
	"crypto/x509"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// maxExpiries limits the list of configured certificates, because a bundle of public authorities has more
// than a hundred. The first to expire are shown.
const maxExpiries = 10

// describeBuild returns what the status says about the process, which starts now.
func describeBuild(b cli.Build, godebug string) health.About {
	return health.About{
		Version: b.Version, Revision: b.Revision, Go: b.Go, Platform: b.Platform,
		FIPS: fips140.Enabled(), GODEBUG: safetext.Printable(godebug), StartedAt: time.Now().UTC(),
	}
}

// describe returns what the status says about o.
func (s *Sidecar) describe(o *origin) health.OriginSnapshot {
	now, settings := time.Now(), o.settings
	roots := advice.Roots(settings, o.dialer.Roots())
	snapshot := health.OriginSnapshot{
		Name: settings.Name(), Listen: []string{}, Upstream: settings.Upstream.Addr,
		ServerName: settings.TLS.ServerName, Verify: settings.TLS.Verify,
		MinVersion:   settings.TLS.MinVersion.String(),
		Verification: advice.Verification(settings), Roots: roots, Own: o.expiries(now),
	}
	for _, ln := range o.listeners {
		snapshot.Listen = append(snapshot.Listen, ln.Addr().String())
	}
	if settings.WarmSpares > 0 {
		snapshot.Spares = &health.Spares{Wanted: settings.WarmSpares, Ready: o.spares.Ready()}
	}
	o.observer.Describe(&snapshot, now)
	snapshot.Wait, snapshot.Addresses = o.waiting(), o.observer.DescribeAddresses(o.dialer.Addresses())
	snapshot.Sessions.Limit, snapshot.Sessions.LimitFrom = s.sessionLimit(o)
	snapshot.Sessions.OffLoop = o.server.SessionsOffLoop()
	return snapshot
}

// sessionLimit returns how many sessions o may have, and what sets that limit. The limit of a machine counts
// the sessions of all origins. Zero means no limit.
func (s *Sidecar) sessionLimit(o *origin) (limit int, from string) {
	own := o.settings.MaxSessions
	if s.plan.sessions > 0 && (own == 0 || s.plan.sessions < own) {
		return s.plan.sessions, s.plan.from
	}
	if own == 0 {
		return 0, ""
	}
	return own, o.settings.Variable("MAX_SESSIONS")
}

// expiries lists configured certificates and revocation lists by their end.
func (o *origin) expiries(now time.Time) []health.Expiry {
	list := []health.Expiry{}
	add := func(role string, certs []*x509.Certificate) {
		for _, cert := range certs {
			d := tlsorigin.Describe([]*x509.Certificate{cert}, now)[0]
			list = append(list, health.Expiry{
				Role: role, Subject: d.Subject, NotAfter: d.NotAfter, DaysLeft: d.DaysLeft,
			})
		}
	}
	roots, client := o.dialer.Certificates()
	add(health.RoleCA, roots)
	add(health.RoleClient, client)
	if o.shown != nil {
		add(health.RoleListener, []*x509.Certificate{o.shown.Leaf()})
	}
	if end := o.dialer.CRLNextUpdate(); !end.IsZero() {
		list = append(list, health.Expiry{
			Role: health.RoleCRL, NotAfter: end.UTC(), DaysLeft: tlsorigin.DaysLeft(end, now),
		})
	}
	slices.SortStableFunc(list, func(a, b health.Expiry) int { return a.NotAfter.Compare(b.NotAfter) })
	return list[:min(len(list), maxExpiries)]
}
