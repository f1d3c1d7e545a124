package tlsorigin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// Dialer opens verified connections to one upstream. Its methods may be called concurrently.
type Dialer struct {
	upstream []route
	timeout  time.Duration
	netDial  func(ctx context.Context, network, addr string) (net.Conn, error)
	resolve  func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: only netDial knows names
	attempt  func(Attempt)                                                         // never nil

	exchange   keyExchange
	paths      paths
	lost       func(net.Conn) bool // packetsLost; nil: nobody can tell, or nobody can do anything about it
	background *background         // never nil
	turns      turns
	waiters    waiters
	liveness   *liveness

	state   atomic.Pointer[tlsState] // each Dial uses the one in force when it starts
	reloads *reloads
}

// NewDialer reads the files that cfg names, checks everything and reports all problems at once: an error joins one
// *ConfigError for each.
func NewDialer(cfg Config) (*Dialer, error) {
	return newDialer(cfg, x509.SystemCertPool)
}

func newDialer(cfg Config, system systemRoots) (*Dialer, error) {
	upstream, problems := cfg.routes()
	minVersion, timeout, more := cfg.limits()
	problems = append(problems, more...)
	exchange, more := cfg.keyExchange(minVersion)
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
		exchange: exchange, background: newBackground(), reloads: reloads, turns: make(turns, maxHandshakes),
		liveness: newLiveness(),
	}
	d.paths = paths{exchange: &d.exchange, changed: func(PathChange) {}, known: map[string]*path{}}
	if d.netDial == nil {
		dialer := newNetDialer()
		dialer.ControlContext, d.lost = d.controlSocket, packetsLost
		d.netDial, d.resolve = dialer.DialContext, net.DefaultResolver.LookupNetIP
	}
	if cfg.Trace != nil && cfg.Trace.Attempt != nil {
		d.attempt = cfg.Trace.Attempt
	}
	if cfg.Trace != nil && cfg.Trace.PathChanged != nil {
		d.paths.changed = cfg.Trace.PathChanged
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

// Close ends the probes in the background and waits for them. Connections and Dial go on to work; only nothing that was
// remembered about an address is looked at again. It returns nil.
func (d *Dialer) Close() error {
	d.background.close()
	return nil
}

// NotAfter returns when the first of the configured roots and the first certificate of the client's chain expire. Zero
// means that there is none to look at: the system roots are in use, or no client certificate is configured.
func (d *Dialer) NotAfter() (roots, client time.Time) {
	t := d.state.Load()
	return t.rootsNotAfter, t.clientNotAfter
}

// CRLNextUpdate returns when the first of the configured revocation lists runs out, of several of one issuer
// the newest. From then on no chain that needs it is accepted. Zero means that there is none.
func (d *Dialer) CRLNextUpdate() time.Time { return d.state.Load().policy.CRLs.NextUpdate() }

// Dial returns a *Conn whose peer has proved its name, ready for a startup packet; the caller closes it. A nil target
// means the configured addresses in order. Otherwise target is the *Addr of an earlier connection of this Dialer, and
// the new one goes to that very address and proves the same name: a cancel request only helps where its session is.
//
// When the failure could come of files that have been replaced, Dial looks at them, and tries once more if it finds new
// ones: a rotation costs no connection, however long the interval of Watch.
//
// On failure the error is an *Error, except that the end of ctx is reported as context.Cause(ctx), wrapped: it says
// nothing about the upstream. The connection does not depend on ctx afterwards.
func (d *Dialer) Dial(ctx context.Context, target net.Addr) (net.Conn, error) {
	routes, err := d.routesTo(target)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(d.timeout)
	current := d.state.Load()
	conn, err := d.dialRoutes(ctx, routes, current, end)
	if next := d.rotated(ctx, err, current, end); next != nil {
		current = next
		conn, err = d.dialRoutes(ctx, routes, current, end)
	}
	if err != nil {
		return nil, err
	}
	conn.generation, conn.rejected = current.generation, d.glance
	conn.wire.liveness = d.liveness
	conn.wire.announce() // the last flight of the handshake
	return conn, nil
}

// dialRoutes tries routes in order until end.
func (d *Dialer) dialRoutes(ctx context.Context, routes []route, current *tlsState, end time.Time) (*Conn, error) {
	var failures []*Error
	for i, r := range routes {
		// A share for each address that is left, so that a silent first one leaves time for the next.
		share := time.Until(end) / time.Duration(len(routes)-i)
		conn, failure := d.open(ctx, r, current, share)
		switch {
		case conn != nil:
			return conn, nil
		case failure == nil:
			return nil, fmt.Errorf("dial upstream %s: %w", r.host, context.Cause(ctx))
		}
		failures = append(failures, failure)
	}
	return nil, furthest(failures)
}

// routesTo returns the addresses to try for target.
func (d *Dialer) routesTo(target net.Addr) ([]route, error) {
	if target == nil {
		return d.upstream, nil
	}
	addr, ok := target.(*Addr)
	if !ok {
		return nil, fmt.Errorf("dial upstream: target is a %T, want an *Addr of an earlier connection", target)
	}
	for _, r := range d.upstream {
		if r.host == addr.Host {
			r.dial = addr.TCP.String()
			return []route{r}, nil
		}
	}
	return nil, fmt.Errorf("dial upstream: %s is not a configured address", safetext.Quote(addr.Host))
}
