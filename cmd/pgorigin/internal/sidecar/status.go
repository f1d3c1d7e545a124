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

// maxExpiries bounds how many of our own certificates the status lists: a bundle of public authorities has more than a
// hundred, and the first to end are those that matter.
const maxExpiries = 10

// aboutThis says what runs, since now.
func aboutThis(b cli.Build, godebug string) health.About {
	return health.About{
		Version: b.Version, Revision: b.Revision, Go: b.Go, Platform: b.Platform,
		FIPS: fips140.Enabled(), GODEBUG: safetext.Printable(godebug), StartedAt: time.Now().UTC(),
	}
}

// describe is what the status says about o.
func (o *origin) describe() health.OriginSnapshot {
	now, s := time.Now(), o.settings
	snapshot := health.OriginSnapshot{
		Name: s.Name(), Listen: []string{}, Upstream: s.Upstream.Addr, ServerName: s.TLS.ServerName,
		Verify: string(s.TLS.Verify), MinVersion: s.TLS.MinVersion.String(), Verification: advice.Verification(s), Roots: advice.Roots(s, o.dialer.Roots()),
		Verified: o.observer.Latest.Describe(now), KeyExchange: o.observer.DescribePaths(), Own: o.expiries(now),
		Probe: o.observer.Prober.Snapshot(),
	}
	for _, ln := range o.clients {
		snapshot.Listen = append(snapshot.Listen, ln.Addr().String())
	}
	if s.WarmSpares > 0 {
		snapshot.Spares = &health.Spares{Wanted: int(s.WarmSpares), Ready: o.spares.Ready()}
	}
	o.observer.Record.Describe(&snapshot)
	snapshot.Sessions.Limit, snapshot.Sessions.OffLoop = int(s.MaxSessions), o.server.SessionsOffLoop()
	return snapshot
}

// expiries lists what is configured here and ends one day, the first to end first.
func (o *origin) expiries(now time.Time) []health.Expiry {
	list := []health.Expiry{}
	add := func(role string, certs []*x509.Certificate) {
		for _, cert := range certs {
			d := tlsorigin.Describe([]*x509.Certificate{cert}, now)[0]
			list = append(list, health.Expiry{Role: role, Subject: d.Subject, NotAfter: d.NotAfter, DaysLeft: d.DaysLeft})
		}
	}
	roots, client := o.dialer.Certificates()
	add(health.RoleCA, roots)
	add(health.RoleClient, client)
	if end := o.dialer.CRLNextUpdate(); !end.IsZero() {
		list = append(list, health.Expiry{Role: health.RoleCRL, NotAfter: end.UTC(), DaysLeft: tlsorigin.DaysLeft(end, now)})
	}
	slices.SortStableFunc(list, func(a, b health.Expiry) int { return a.NotAfter.Compare(b.NotAfter) })
	return list[:min(len(list), maxExpiries)]
}
