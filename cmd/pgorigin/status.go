package main

import (
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// maxExpiries bounds how many of our own certificates the status lists: a bundle of public authorities has more than a
// hundred, and the first to end are those that matter.
const maxExpiries = 10

// aboutThis says what runs, since now.
func aboutThis(b build, godebug string) health.About {
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
		Verify: string(s.TLS.Verify), MinVersion: s.TLS.MinVersion.String(), Verification: s.Verification(), Roots: o.roots(),
		Verified: o.observer.latest.describe(now), KeyExchange: o.observer.describePaths(), Own: o.expiries(now),
		Probe: o.observer.prober.Snapshot(),
	}
	for _, ln := range o.clients {
		snapshot.Listen = append(snapshot.Listen, ln.Addr().String())
	}
	if s.WarmSpares > 0 {
		snapshot.Spares = &health.Spares{Wanted: int(s.WarmSpares), Ready: o.spares.Ready()}
	}
	o.observer.record.Describe(&snapshot)
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

// handshake is the latest in which the upstream has proved who it is. Certificates are described only when somebody asks:
// connections are not to pay for a page that nobody looks at.
type handshake struct {
	mu       sync.Mutex
	verified health.Verified // without Address and Chain; zero: there was none
	address  net.Addr
	chain    []*x509.Certificate
}

func (h *handshake) happened(a tlsorigin.Attempt) {
	verified := health.Verified{
		At: time.Now().UTC(), Upstream: a.Addr,
		Version: advice.VersionName(a.State.Version), Cipher: tls.CipherSuiteName(a.State.CipherSuite), Group: tlsorigin.GroupName(a.State.CurveID),
		PostQuantum: tlsorigin.IsHybrid(a.State.CurveID), Resumed: a.State.DidResume,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.verified, h.address, h.chain = verified, a.Resolved, lastingChain(a.State.VerifiedChains)
}

// lastChain returns the verified chain, leaf first; nil: none.
func (h *handshake) lastChain() []*x509.Certificate {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chain
}

// describe returns nil if there was no handshake.
func (h *handshake) describe(now time.Time) *health.Verified {
	h.mu.Lock()
	verified, address, chain := h.verified, h.address, h.chain
	h.mu.Unlock()
	if verified.At.IsZero() {
		return nil
	}
	verified.Address, verified.Chain = address.String(), []health.Certificate{}
	for _, d := range tlsorigin.Describe(chain, now) {
		verified.Chain = append(verified.Chain, health.Certificate{
			Subject: d.Subject, Issuer: d.Issuer, Names: append([]string{}, d.Names...), Key: d.Key, SHA256: d.SHA256,
			NotBefore: d.NotBefore, NotAfter: d.NotAfter, DaysLeft: d.DaysLeft,
		})
	}
	return &verified
}

// lastingChain returns, of several chains, the one that holds longest; nil of none.
func lastingChain(chains [][]*x509.Certificate) []*x509.Certificate {
	var lasting []*x509.Certificate
	for _, chain := range chains {
		if lasting == nil || firstToEnd(chain).NotAfter.After(firstToEnd(lasting).NotAfter) {
			lasting = chain
		}
	}
	return lasting
}

func firstToEnd(chain []*x509.Certificate) *x509.Certificate {
	return slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
}
