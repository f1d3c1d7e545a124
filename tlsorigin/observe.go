package tlsorigin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// UpstreamAddr is one configured address.
type UpstreamAddr struct {
	Addr       string // host:port
	ServerName string // what the certificate must carry
	Direct     bool   // TLS begins at once, without SSLRequest
}

// UpstreamAddrs returns the configured addresses in their order.
func (d *Dialer) UpstreamAddrs() []UpstreamAddr {
	var addrs []UpstreamAddr
	for _, r := range d.upstream {
		addrs = append(addrs, UpstreamAddr{Addr: r.host, ServerName: r.name, Direct: r.direct})
	}
	return addrs
}

// Timeout returns Config.Timeout, or its default.
func (d *Dialer) Timeout() time.Duration { return d.timeout }

// LookupFunc resolves a name, as net.Resolver.LookupNetIP does.
type LookupFunc = func(ctx context.Context, network, host string) ([]netip.Addr, error)

// Lookup returns the function with which Dial resolves names. Nil means that only Config.NetDial knows what a
// name means.
func (d *Dialer) Lookup() LookupFunc { return d.resolve }

// Resolve returns all addresses of a configured host:port. It looks a name up by lookup within timeout.
func (d *Dialer) Resolve(ctx context.Context, hostPort string, timeout time.Duration,
	lookup LookupFunc,
) ([]*Addr, *Error) {
	host, portText, _ := net.SplitHostPort(hostPort)      // Config.routes checked it
	port, _ := netip.ParseAddrPort("0.0.0.0:" + portText) // likewise
	addr := func(ip netip.Addr) *Addr {
		return &Addr{TCP: net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, port.Port())), Host: hostPort}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []*Addr{addr(ip)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ips, err := lookup(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		found := lookupFailure(err, timeout)
		return nil, &Error{
			Kind: found.reason, Case: found.which, Value: found.value, Addr: hostPort, Text: found.text, Err: err,
		}
	}
	var addrs []*Addr
	var known []netip.Addr
	for _, ip := range ips {
		if ip = ip.Unmap(); !slices.Contains(known, ip) {
			known = append(known, ip)
			addrs = append(addrs, addr(ip))
		}
	}
	return addrs, nil
}

// ObservedAttempt is one try of an address, with details for a diagnosis.
type ObservedAttempt struct {
	Attempt

	Began    bool                // the handshake was about to begin
	Hello    Hello               // zero if none could be made
	State    tls.ConnectionState // as the policy saw it; zero if the handshake did not come that far
	Accepted bool                // by the policy; the upstream may still have rejected the client certificate
	Vanished VanishCause         // set if nothing answered the hello, in a way that may be due to its size

	Sent  []*x509.Certificate // by the upstream, leaf first
	Chain []*x509.Certificate // from the leaf to the root, apart from the name; nil if no chain is accepted

	ClientCertificate ClientCertificate
}

// ClientCertificate says what an upstream asked for and what it got.
type ClientCertificate struct {
	Requested bool
	Presented string // quoted; empty for none
	Unlisted  bool   // its issuer is not in the list of authorities that the upstream sent along
}

// Observation is the result of Dialer.Observe.
type Observation struct {
	Attempts []ObservedAttempt // in their order; none if the context ended first

	Conn        *Conn  // for the caller to close; nil if there is none
	Err         *Error // why there is no Conn; nil if Interrupted
	Interrupted bool   // the context has ended, which says nothing about the upstream
}

// Observe dials one resolved address within timeout, by the code of Dial, and returns more details. The Host
// of target must be a configured address. Package diagnose uses it.
//
// If offer is not nil, Observe makes one attempt that offers only that. Trace.Attempt does not see it, and the
// Dialer learns nothing from it.
func (d *Dialer) Observe(ctx context.Context, target *Addr, timeout time.Duration, offer *Offer,
) (Observation, error) {
	r, err := d.routeTo(target)
	if err != nil {
		return Observation{}, err
	}
	rec := new(recorder)
	o := options{recorder: rec}
	var result outcome
	if offer == nil {
		result = d.open(ctx, r, d.state.Load(), timeout, o)
	} else {
		a := d.newAttempt(r, d.state.Load(), timeout, o)
		a.variantFor = func(net.Addr) helloVariant { return helloVariant{groups: offer.Groups} }
		rec.begin(a)
		noted := a.observe
		a.observe = func(config *tls.Config) {
			offer.narrow(config, a.route.direct)
			noted(config)
		}
		result.conn, result.failure = a.run(ctx, d.netDial)
		if result.conn == nil && ctx.Err() != nil {
			result = outcome{interrupted: true}
		}
		a.report.Err = result.failure
	}
	return Observation{
		Attempts: rec.observed(), Conn: result.conn, Err: result.failure,
		Interrupted: result.interrupted,
	}, nil
}

// Rejection waits, for at most wait, for the rejection of the client certificate. TLS 1.3 delivers it as the
// first thing to read, so nothing must have been read before. Nil means that there was none.
func (c *Conn) Rejection(wait time.Duration) *Error {
	if !c.auth.requested || c.ConnectionState().Version < tls.VersionTLS13 {
		return nil
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	var failure *Error
	if _, err := c.Read(make([]byte, 1)); errors.As(err, &failure) {
		return failure
	}
	return nil
}

// recorder notes what attempts do. It decides nothing. Nil notes nothing.
type recorder struct{ records []*record }

// record is one attempt with what happened inside its handshake.
type record struct {
	attempt  *attempt
	began    bool
	hello    Hello
	state    tls.ConnectionState
	accepted bool
}

// begin notes that a is about to run: first the hello that it sends, later what the policy is asked.
func (r *recorder) begin(a *attempt) {
	if r == nil {
		return
	}
	noted := &record{attempt: a}
	r.records = append(r.records, noted)
	a.observe = func(config *tls.Config) {
		noted.began = true
		noted.hello, _ = buildHello(config.Clone()) // the error is that of the handshake that follows
		decide := config.VerifyConnection
		config.VerifyConnection = func(state tls.ConnectionState) error {
			noted.state = state
			err := decide(state)
			noted.accepted = err == nil
			return err
		}
	}
}

// observed returns what was noted.
func (r *recorder) observed() []ObservedAttempt {
	var all []ObservedAttempt
	for _, noted := range r.records {
		a := noted.attempt
		o := ObservedAttempt{
			Attempt: a.report, Began: noted.began, Hello: noted.hello, State: noted.state,
			Accepted: noted.accepted, Vanished: a.vanished, Sent: noted.state.PeerCertificates,
		}
		chains := a.verify.chains
		var refused *verify.Refusal
		if a.report.Err != nil && errors.As(a.report.Err.Err, &refused) {
			o.Sent, chains = refused.Sent, refused.Chains
		}
		o.Chain = a.state.policy.Accepted(chains, time.Now())
		o.ClientCertificate.Requested, o.ClientCertificate.Unlisted = a.auth.requested, a.auth.unlisted
		if a.auth.requested && a.auth.configured != nil {
			o.ClientCertificate.Presented = verify.CertificateName(a.auth.configured.Leaf)
		}
		all = append(all, o)
	}
	return all
}
