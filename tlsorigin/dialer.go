package tlsorigin

import (
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/background"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/resolver"
)

// Dialer opens verified connections to one upstream. Its methods may be called concurrently.
type Dialer struct {
	upstream []route
	timeout  time.Duration
	netDial  dialFunc
	resolve  LookupFunc                // nil means that only netDial knows names
	asked    *resolver.Resolver        // by resolve; nil means the system's
	isOwn    func(netip.AddrPort) bool // nil: none
	attempt  func(Attempt)             // nil: none

	lookups    lookups
	addresses  addresses
	exchange   keyExchange
	hosts      hosts
	lost       func(net.Conn) bool // packetsLost; nil means that the system does not tell, or cannot send small segments
	background *background.Group   // probes; never nil
	semaphore  semaphore
	beside     semaphore
	waiters    waiters
	liveness   *liveness

	state   atomic.Pointer[tlsState] // each Dial uses the one in force when it starts
	reloads *reloads
}

// NewDialer reads the files that cfg names and checks everything. It reports all problems at once: the error
// joins a *ConfigError for each.
func NewDialer(cfg Config) (*Dialer, error) {
	return newDialer(cfg, x509.SystemCertPool)
}

func newDialer(cfg Config, system systemRoots) (*Dialer, error) {
	upstream, problems := cfg.routes()
	minVersion, timeout, more := cfg.limits()
	problems = append(problems, more...)
	exchange, more := cfg.keyExchange(minVersion)
	problems = append(problems, more...)
	asked, more := cfg.resolver()
	problems = append(problems, more...)
	load := func(files snapshot) (*tlsState, []error) {
		t, problems := loadState(&cfg, files, minVersion, system)
		if problems == nil {
			t.warnNames(upstream)
		}
		return t, problems
	}
	reloads := newReloads(&cfg, load)
	loaded, more := reloads.first()
	if problems = append(problems, more...); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	d := &Dialer{
		upstream: upstream, timeout: timeout, netDial: cfg.NetDial, attempt: func(Attempt) {},
		exchange: exchange, background: background.New(), reloads: reloads,
		semaphore: make(semaphore, maxHandshakes), beside: make(semaphore, maxBeside),
		liveness: newLiveness(),
	}
	d.hosts = hosts{
		exchange: &d.exchange, changed: func(KeyExchangeChange) {}, known: map[string]*hostState{},
	}
	if d.netDial == nil {
		dialer := newNetDialer()
		dialer.ControlContext, d.lost = d.controlSocket, packetsLost
		d.netDial, d.resolve, d.asked = dialer.DialContext, LookupNetIP, asked
	}
	if d.asked != nil {
		d.resolve = lookupPast(d.asked)
	}
	d.isOwn = cfg.OwnAddress
	d.lookups.background = d.background
	d.addresses = addresses{
		known: map[place]*addressMemory{}, changed: func(AddressStatus, AddressStatus) {},
	}
	if cfg.Trace != nil && cfg.Trace.Attempt != nil {
		d.attempt = cfg.Trace.Attempt
	}
	if cfg.Trace != nil && cfg.Trace.KeyExchangeChanged != nil {
		d.hosts.changed = cfg.Trace.KeyExchangeChanged
	}
	if cfg.Trace != nil && cfg.Trace.AddressChanged != nil {
		d.addresses.changed = cfg.Trace.AddressChanged
	}
	d.state.Store(loaded)
	return d, nil
}

func newNetDialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     keepAliveIdle,
			Interval: keepAliveInterval,
			Count:    keepAliveCount,
		},
		Control: controlSocket,
	}
}

// Warnings returns what is doubtful about the configuration in force but no reason to refuse it.
func (d *Dialer) Warnings() []Warning {
	return slices.Concat(d.exchange.warnings, d.state.Load().warnings)
}

// Close ends the background probes and waits for them. Connections and Dial go on to work, but what is
// remembered about an address is not probed again. Close returns nil.
func (d *Dialer) Close() error {
	d.background.Close()
	return nil
}

// NotAfter returns when the first of the configured roots and the first certificate of the client's chain
// expire. Zero means that there is none: the system roots are in use, or no client certificate is configured.
func (d *Dialer) NotAfter() (roots, client time.Time) {
	t := d.state.Load()
	return t.rootsNotAfter, t.clientNotAfter
}

// CRLNextUpdate returns when the first of the configured revocation lists runs out. Of several lists of one
// issuer the newest counts. From then on no chain that needs the list is accepted. Zero means that there is
// none.
func (d *Dialer) CRLNextUpdate() time.Time { return d.state.Load().policy.CRLs.NextUpdate() }

// Hello returns the default ClientHello for the first address, with the configuration in force.
func (d *Dialer) Hello() (Hello, error) {
	t := d.state.Load()
	return buildHello(t.config(&verification{policy: t.policy, name: d.upstream[0].name},
		&clientAuth{configured: t.client}))
}

// Roots returns where the certificates that are trusted now come from.
func (d *Dialer) Roots() []RootSource { return slices.Clone(d.state.Load().sources) }
