package tlsorigin

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// Stage is one step on the way to a verified connection.
type Stage string

// The stages of a diagnosis, in their order.
const (
	StageDNS               Stage = "dns"
	StageTCP               Stage = "tcp"
	StageSSLRequest        Stage = "sslrequest"
	StageTLS               Stage = "tls"
	StageChain             Stage = "chain"
	StageName              Stage = "name"
	StageClientCertificate Stage = "client_certificate"
	StageKeyExchange       Stage = "key_exchange"
)

const (
	// maxDiagnosed bounds how many addresses of one name are walked; a name may have hundreds.
	maxDiagnosed = 16
	// diagnosedAtOnce bounds the addresses under way, each of which has several connections open.
	diagnosedAtOnce = 4
	// keyExchangeTimeout bounds one row of the key-exchange matrix: an answer to a hello takes one round trip.
	keyExchangeTimeout = 3 * time.Second
	// rejectionGrace is how long a diagnosis listens for the rejection of its client certificate, which TLS 1.3 sends
	// only after the handshake. A server that is content is silent.
	rejectionGrace = 250 * time.Millisecond
)

// DiagnoseOptions change how Diagnose works. The zero value is fine.
type DiagnoseOptions struct {
	// LookupNetIP resolves a name. Nil means net.DefaultResolver, which Dial uses, too.
	LookupNetIP func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// UpstreamDiagnosis is what was found out about one configured address.
type UpstreamDiagnosis struct {
	Upstream   string // host:port as configured
	ServerName string // what the certificate must carry
	Direct     bool   // TLS begins at once, without SSLRequest

	Lookup    time.Duration // zero for an IP address
	Resolved  int           // how many addresses DNS gave
	Err       *Error        // why there is no address; nil otherwise
	Addresses []AddressDiagnosis
}

// AddressDiagnosis is the walk to one resolved address. It ends at its first failing stage.
type AddressDiagnosis struct {
	// Addr leads Dial to this very address.
	Addr *Addr

	Failed Stage  // the first failing stage; empty if the connection was verified
	Err    *Error // what Dial would report for this address; nil when Failed is empty
	// Skipped says that ctx ended before the walk did; what is known stands, and Failed and Err are empty.
	Skipped bool

	Connect, SSLRequest, TLS time.Duration // see Attempt

	// Fallback is set if the first ClientHello vanished on the way and another one led to a connection; Cause says how.
	Fallback Fallback
	Cause    PathCause

	Handshake   Handshake
	Certificate PeerChain
	// KeyExchange has one row for each group alone, and the first for the configuration in force. It is empty if the
	// walk ended before TLS or at the certificate.
	KeyExchange []GroupTrial

	// ClientCertificate says whether the upstream asked for one, and which was presented (quoted; empty for none).
	ClientCertificate struct {
		Requested bool
		Presented string
		Unlisted  bool // its issuer is not in the list of authorities that the upstream sent along
	}
}

// Handshake describes a TLS handshake that came as far as the certificate. A zero Version means that it did not.
type Handshake struct {
	Version           uint16
	CipherSuite       uint16
	Group             tls.CurveID
	HelloRetryRequest bool
}

// Diagnose walks every address of every configured upstream and reports how far it came, addresses of one name side by
// side. Each walk is made by the code of Dial, with all that this remembers and learns about an address, and has the
// timeout of the Config, cut by the deadline of ctx. Nothing but SSLRequest and TLS leaves the process, and every
// connection is closed again.
func (d *Dialer) Diagnose(ctx context.Context, o DiagnoseOptions) []UpstreamDiagnosis {
	if o.LookupNetIP == nil {
		o.LookupNetIP = net.DefaultResolver.LookupNetIP
	}
	current := d.state.Load()
	reports := make([]UpstreamDiagnosis, len(d.upstream))
	places := make(chan struct{}, diagnosedAtOnce)
	var walks sync.WaitGroup
	for i, r := range d.upstream {
		walks.Go(func() { reports[i] = d.diagnoseUpstream(ctx, r, current, places, o) })
	}
	walks.Wait()
	return reports
}

func (d *Dialer) diagnoseUpstream(ctx context.Context, r route, t *tlsState, places chan struct{}, o DiagnoseOptions) UpstreamDiagnosis {
	report := UpstreamDiagnosis{Upstream: r.host, ServerName: r.name, Direct: r.direct}
	addrs, failure := d.lookup(ctx, r, &report, o)
	if failure != nil {
		report.Err = failure
		return report
	}
	report.Resolved = len(addrs)
	addrs = addrs[:min(len(addrs), maxDiagnosed)]
	report.Addresses = make([]AddressDiagnosis, len(addrs))
	var walks sync.WaitGroup
	for i, addr := range addrs {
		walks.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			to := r
			to.dial = addr.String()
			report.Addresses[i] = d.diagnoseAddress(ctx, to, net.TCPAddrFromAddrPort(addr), t)
		})
	}
	walks.Wait()
	return report
}

// lookup resolves the host of r, as Dial would, to all its addresses.
func (d *Dialer) lookup(ctx context.Context, r route, report *UpstreamDiagnosis, o DiagnoseOptions) ([]netip.AddrPort, *Error) {
	host, portText, _ := net.SplitHostPort(r.dial)        // routes checked it
	port, _ := netip.ParseAddrPort("0.0.0.0:" + portText) // likewise
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ip, port.Port())}, nil
	}
	budget := d.shareOf(ctx)
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	defer stopwatch(&report.Lookup)()
	ips, err := o.LookupNetIP(ctx, "ip", host)
	if err == nil && len(ips) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	if err != nil {
		found := connectFailure(err, budget)
		found.reason = ReasonUpstreamDNS // an end of ctx comes without the resolver's own error
		return nil, &Error{Kind: found.reason, Addr: r.host, Text: found.text, Err: err}
	}
	var addrs []netip.AddrPort
	for _, ip := range ips {
		if addr := netip.AddrPortFrom(ip.Unmap(), port.Port()); !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}

// shareOf returns the budget of one attempt: that of Dial, or most of what is left until the deadline of ctx, so that the
// attempt ends first and says why.
func (d *Dialer) shareOf(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return max(min(d.timeout, time.Until(end)*9/10), time.Millisecond)
	}
	return d.timeout
}

func (d *Dialer) diagnoseAddress(ctx context.Context, r route, tcp net.Addr, t *tlsState) AddressDiagnosis {
	report := AddressDiagnosis{Addr: &Addr{TCP: tcp, Host: r.host}}
	w := new(witness)
	conn, failure := d.open(context.WithValue(ctx, witnessKey{}, w), r, t, d.shareOf(ctx))
	if conn != nil {
		failure = lateRejection(ctx, conn, w.last().attempt.report.TLS)
		_ = conn.Close()
	} else if failure == nil || len(w.sightings) == 0 {
		report.Skipped = true
		return report
	}
	judged := w.last()
	if conn == nil && judged.attempt.report.Err != failure {
		judged = w.first() // nothing passed where its hello vanished, so it is the one that is reported
	}
	a := judged.attempt
	report.Connect, report.SSLRequest, report.TLS = a.report.Connect, a.report.SSLRequest, a.report.TLS
	report.Fallback, report.Cause = a.report.Fallback, a.report.Cause
	report.Handshake = handshakeOf(judged.state)
	report.Certificate = judged.chain(failure)
	report.ClientCertificate.Requested = a.auth.requested
	report.ClientCertificate.Unlisted = a.auth.unlisted
	if a.auth.requested && a.auth.configured != nil {
		report.ClientCertificate.Presented = verify.CertificateName(a.auth.configured.Leaf)
	}
	if failure != nil {
		report.Failed, report.Err = stageOf(failure, &a.report), failure
	}
	if report.Failed == "" || report.Failed == StageTLS || report.Failed == StageClientCertificate {
		report.KeyExchange = d.tryGroups(ctx, r, t, w)
	}
	return report
}

// stageOf tells at which stage an attempt failed.
func stageOf(failure *Error, report *Attempt) Stage {
	switch kind := failure.Kind; {
	case kind == ReasonClientCertRejected:
		return StageClientCertificate
	case kind == ReasonCertNameMismatch:
		return StageName
	case kind.layer() == layerCertificate:
		return StageChain
	case kind == ReasonUpstreamDNS:
		return StageDNS
	case report.Resolved == nil:
		return StageTCP
	case kind == ReasonTLSRefused, kind == ReasonTLSInjection, report.TLS == 0 && report.SSLRequest > 0:
		return StageSSLRequest
	}
	return StageTLS
}

// handshakeOf describes a state, which is zero if there was no handshake to speak of.
func handshakeOf(state tls.ConnectionState) Handshake {
	return Handshake{
		Version: state.Version, CipherSuite: state.CipherSuite, Group: state.CurveID,
		HelloRetryRequest: state.HelloRetryRequest,
	}
}
