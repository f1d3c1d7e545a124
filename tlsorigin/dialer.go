package tlsorigin

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

const (
	keepAlivePeriod = 15 * time.Second
	keepAliveCount  = 9
	userTimeout     = 30 * time.Second // see controlSocket
)

// Dialer opens verified connections to one upstream. Its methods may be called concurrently.
type Dialer struct {
	upstream []route
	timeout  time.Duration
	netDial  func(ctx context.Context, network, addr string) (net.Conn, error)
	attempt  func(Attempt) // never nil

	trust atomic.Pointer[trust] // each Dial uses the one in force when it starts
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
	loaded, more := loadTrust(&cfg, minVersion, system)
	if problems = append(problems, more...); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	loaded.warnNames(upstream)
	d := &Dialer{upstream: upstream, timeout: timeout, netDial: cfg.NetDial, attempt: func(Attempt) {}}
	if d.netDial == nil {
		d.netDial = newNetDialer().DialContext
	}
	if cfg.Trace != nil && cfg.Trace.Attempt != nil {
		d.attempt = cfg.Trace.Attempt
	}
	d.trust.Store(loaded)
	return d, nil
}

func newNetDialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     keepAlivePeriod,
			Interval: keepAlivePeriod,
			Count:    keepAliveCount,
		},
		Control: controlSocket,
	}
}

// Warnings returns what is doubtful about the configuration in force but no reason to refuse it, one sentence each.
func (d *Dialer) Warnings() []string { return slices.Clone(d.trust.Load().warnings) }

// NotAfter returns when the first of the configured roots and the first certificate of the client's chain expire. Zero
// means that there is none to look at: the system roots are in use, or no client certificate is configured.
func (d *Dialer) NotAfter() (roots, client time.Time) {
	t := d.trust.Load()
	return t.rootsNotAfter, t.clientNotAfter
}

// Dial returns a *Conn whose peer has proved its name, ready for a startup packet; the caller closes it. A nil target
// means the configured addresses in order. Otherwise target is the *Addr of an earlier connection of this Dialer, and
// the new one goes to that very address and proves the same name: a cancel request only helps where its session is.
//
// On failure the error is an *Error, except that the end of ctx is reported as context.Cause(ctx), wrapped: it says
// nothing about the upstream. The connection does not depend on ctx afterwards.
func (d *Dialer) Dial(ctx context.Context, target net.Addr) (net.Conn, error) {
	routes, err := d.routesTo(target)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(d.timeout)
	current := d.trust.Load()
	var failures []*Error
	for i, r := range routes {
		// A share for each address that is left, so that a silent first one leaves time for the next.
		share := time.Until(end) / time.Duration(len(routes)-i)
		a := newAttempt(r, current, share)
		conn, failure := a.run(ctx, d.netDial)
		if conn == nil && ctx.Err() != nil {
			return nil, fmt.Errorf("dial upstream %s: %w", r.host, context.Cause(ctx))
		}
		a.report.Err = failure
		d.attempt(a.report)
		if failure == nil {
			return conn, nil
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
	return nil, fmt.Errorf("dial upstream: %s is not a configured address", quote(addr.Host))
}
