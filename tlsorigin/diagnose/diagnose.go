package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"sync"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
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
	// maxDiagnosed bounds the addresses of one name that are walked. A name may have hundreds.
	maxDiagnosed = 16
	// diagnosedAtOnce bounds the walks under way. Each has several connections open.
	diagnosedAtOnce = 4
	// keyExchangeTimeout bounds one row of the key-exchange matrix: an answer to a hello takes one round
	// trip.
	keyExchangeTimeout = 3 * time.Second
	// rejectionGrace is how long a walk waits for the rejection of its client certificate, besides the time
	// that the handshake took. TLS 1.3 sends it after the handshake. A server that accepts the certificate is
	// silent.
	rejectionGrace = 250 * time.Millisecond
)

// Upstream is the result for one configured address.
type Upstream struct {
	Addr       string // host:port as configured
	ServerName string // what the certificate must carry
	Direct     bool   // TLS begins at once, without SSLRequest

	Lookup    time.Duration    // zero for an IP address
	Servers   []string         // the DNS servers in use if the hosts file is not read; nil otherwise
	Resolved  int              // how many addresses the name has
	Err       *tlsorigin.Error // why there is no address; nil otherwise
	Addresses []Address
}

// Address is the walk to one resolved address. It ends at its first failing stage.
type Address struct {
	// Addr is a target for Dialer.Dial.
	Addr *tlsorigin.Addr

	Failed Stage            // the first failing stage; empty if the connection was verified
	Err    *tlsorigin.Error // what Dial would report for this address; nil when Failed is empty
	// Skipped says that the context ended before the walk did. Failed and Err are empty then.
	Skipped bool

	Connect, SSLRequest, TLS time.Duration // see tlsorigin.Attempt

	// Fallback is set if the first ClientHello vanished and another one led to a connection. Cause says how
	// it vanished.
	Fallback tlsorigin.Fallback
	Cause    tlsorigin.VanishCause

	Handshake   Handshake
	Certificate Chain
	// Sent and Path are the certificates themselves, the upstream's own first. Path is that of Certificate.
	Sent, Path []*x509.Certificate
	// KeyExchange has a first row for the configuration in force, and one for each group alone. It is empty
	// if the walk ended before TLS or at the certificate.
	KeyExchange []Trial

	ClientCertificate tlsorigin.ClientCertificate

	// Acceptance is nil unless Options.Accepts is set and the address was reached.
	Acceptance *Acceptance
}

// Handshake describes a TLS handshake that came as far as the certificate. A zero Version means that it did
// not.
type Handshake struct {
	Version           uint16
	CipherSuite       uint16
	Group             tls.CurveID
	HelloRetryRequest bool
}

// Options change how Run works. The zero value is fine.
type Options struct {
	// LookupNetIP resolves a name. Nil means as Dial does it.
	LookupNetIP tlsorigin.LookupFunc
	// Accepts finds out which ClientHellos of others an address answers, too.
	Accepts bool
}

// Run walks to every address of every configured upstream of d and reports how far it came. It walks to
// several addresses of one name side by side. A walk uses what d remembers about an address, and d learns
// from it. It has the timeout of the Config, cut by the deadline of ctx. Nothing but SSLRequest and TLS
// leaves the process, and Run closes every connection.
func Run(ctx context.Context, d *tlsorigin.Dialer, o Options) []Upstream {
	w := &walker{
		dialer: d, lookup: o.LookupNetIP, accepts: o.Accepts, places: make(chan struct{}, diagnosedAtOnce),
	}
	if w.lookup == nil {
		w.lookup = d.Lookup()
	}
	if w.lookup == nil { // only Config.NetDial knows names
		w.lookup = tlsorigin.LookupNetIP
	}
	addrs := d.UpstreamAddrs()
	reports := make([]Upstream, len(addrs))
	var walks sync.WaitGroup
	for i, addr := range addrs {
		walks.Go(func() { reports[i] = w.upstream(ctx, addr) })
	}
	walks.Wait()
	return reports
}

// walker makes the walks of one Run.
type walker struct {
	dialer  *tlsorigin.Dialer
	lookup  tlsorigin.LookupFunc
	accepts bool          // finds out what an address accepts, too
	places  chan struct{} // has room for diagnosedAtOnce walks
}

func (w *walker) upstream(ctx context.Context, addr tlsorigin.UpstreamAddr) Upstream {
	report := Upstream{Addr: addr.Addr, ServerName: addr.ServerName, Direct: addr.Direct}
	began := time.Now()
	report.Servers = w.dialer.NameServers(ctx)
	found, failure := w.dialer.Resolve(ctx, addr.Addr, w.shareOf(ctx),
		func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			defer func() { report.Lookup = time.Since(began) }()
			return w.lookup(ctx, network, host)
		})
	if failure != nil {
		report.Err = failure
		return report
	}
	report.Resolved = len(found)
	found = found[:min(len(found), maxDiagnosed)]
	report.Addresses = make([]Address, len(found))
	var walks sync.WaitGroup
	for i, addr := range found {
		walks.Go(func() {
			w.places <- struct{}{}
			defer func() { <-w.places }()
			walked := w.walk(ctx, addr)
			if w.accepts && walked.Failed != StageTCP && ctx.Err() == nil {
				walked.Acceptance = accepts(ctx, addr, report.ServerName, report.Direct)
			}
			report.Addresses[i] = walked
		})
	}
	walks.Wait()
	return report
}

// shareOf returns the time for one attempt: that of Dial, or most of what is left until the deadline of ctx.
// So the attempt ends before ctx and says why.
func (w *walker) shareOf(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return max(min(w.dialer.Timeout(), time.Until(end)*9/10), time.Millisecond)
	}
	return w.dialer.Timeout()
}

// walk goes to one address.
func (w *walker) walk(ctx context.Context, addr *tlsorigin.Addr) Address {
	report := Address{Addr: addr}
	found, err := w.dialer.Observe(ctx, addr, w.shareOf(ctx), nil)
	if err != nil || found.Interrupted || len(found.Attempts) == 0 {
		report.Skipped = true
		return report
	}
	first, last := found.Attempts[0], found.Attempts[len(found.Attempts)-1]
	failure := found.Err
	if found.Conn != nil {
		if ctx.Err() == nil {
			failure = found.Conn.Rejection(rejectionGrace + last.TLS)
		}
		_ = found.Conn.Close()
	}
	reported := last
	if found.Conn == nil && last.Err != failure {
		reported = first // nothing passed where its hello vanished
	}
	report.Connect, report.SSLRequest, report.TLS = reported.Connect, reported.SSLRequest, reported.TLS
	report.Fallback, report.Cause = reported.Fallback, reported.Cause
	report.Handshake = handshakeOf(reported.State)
	report.Certificate = describeChain(reported.Sent, reported.Chain, time.Now())
	report.Sent, report.Path = reported.Sent, pathOf(reported.Sent, reported.Chain)
	report.ClientCertificate = reported.ClientCertificate
	if failure != nil {
		report.Failed, report.Err = stageOf(failure, &reported.Attempt), failure
	}
	if report.Failed == "" || report.Failed == StageTLS || report.Failed == StageClientCertificate {
		report.KeyExchange = w.tryGroups(ctx, addr, first)
	}
	return report
}

// StagesOf returns the stages at which a walk can fail for reason. It is empty for a reason that no walk has.
func StagesOf(reason tlsorigin.Reason) []Stage {
	switch reason {
	case tlsorigin.ReasonUpstreamDNS, tlsorigin.ReasonDNSNoAddress:
		return []Stage{StageDNS}
	case tlsorigin.ReasonUpstreamRefused, tlsorigin.ReasonUpstreamTimeout:
		return []Stage{StageTCP}
	case tlsorigin.ReasonUpstreamUnreachable:
		return []Stage{StageTCP, StageSSLRequest, StageTLS}
	case tlsorigin.ReasonTLSRefused, tlsorigin.ReasonTLSInjection:
		return []Stage{StageSSLRequest}
	case tlsorigin.ReasonUpstreamGone, tlsorigin.ReasonUpstreamSilent, tlsorigin.ReasonUpstreamLost,
		tlsorigin.ReasonTLSProtocol, tlsorigin.ReasonNotPostgres:
		return []Stage{StageSSLRequest, StageTLS}
	case tlsorigin.ReasonTLSTimeout, tlsorigin.ReasonTLSAlert, tlsorigin.ReasonTLSALPN,
		tlsorigin.ReasonTLSNoCommon, tlsorigin.ReasonTLSServerName:
		return []Stage{StageTLS}
	case tlsorigin.ReasonCertNameMismatch:
		return []Stage{StageName}
	case tlsorigin.ReasonCertUnknownAuthority, tlsorigin.ReasonCertExpired, tlsorigin.ReasonCertNotYetValid,
		tlsorigin.ReasonCertRevoked, tlsorigin.ReasonCertPinMismatch, tlsorigin.ReasonCertUsage,
		tlsorigin.ReasonCertInvalid, tlsorigin.ReasonChainIncomplete, tlsorigin.ReasonCRLMissing,
		tlsorigin.ReasonCRLStale:
		return []Stage{StageChain}
	case tlsorigin.ReasonClientCertRequired, tlsorigin.ReasonClientCertRejected:
		return []Stage{StageClientCertificate}
	}
	return nil
}

// stageOf tells at which stage an attempt failed.
func stageOf(failure *tlsorigin.Error, report *tlsorigin.Attempt) Stage {
	stages := StagesOf(failure.Kind)
	switch {
	case len(stages) == 1:
		return stages[0]
	case report.Resolved == nil:
		return StageTCP
	case report.TLS == 0 && report.SSLRequest > 0:
		return StageSSLRequest
	}
	return StageTLS
}

// handshakeOf describes a state. It is zero if the handshake did not come as far as the certificate.
func handshakeOf(state tls.ConnectionState) Handshake {
	return Handshake{
		Version: state.Version, CipherSuite: state.CipherSuite, Group: state.CurveID,
		HelloRetryRequest: state.HelloRetryRequest,
	}
}
