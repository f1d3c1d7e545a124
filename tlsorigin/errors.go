package tlsorigin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// Reason is one word of the closed list that logs, metrics and documentation share.
type Reason string

// The reasons for which a connection to the upstream fails.
const (
	ReasonUpstreamDNS         Reason = "upstream_dns"
	ReasonDNSNoAddress        Reason = "dns_no_address" // the name exists, but has no address
	ReasonUpstreamRefused     Reason = "upstream_refused"
	ReasonUpstreamUnreachable Reason = "upstream_unreachable"
	ReasonUpstreamTimeout     Reason = "upstream_timeout" // no TCP
	ReasonUpstreamSilent      Reason = "upstream_silent"  // TCP, but no answer
	ReasonUpstreamGone        Reason = "upstream_gone"
	ReasonUpstreamLost        Reason = "upstream_lost" // acknowledges nothing

	ReasonNotPostgres   Reason = "not_postgres"  // answered in another protocol
	ReasonTLSRefused    Reason = "tls_refused"   // answered 'N'
	ReasonTLSInjection  Reason = "tls_injection" // sent bytes after 'S'
	ReasonTLSProtocol   Reason = "tls_protocol"
	ReasonTLSTimeout    Reason = "tls_timeout"
	ReasonTLSAlert      Reason = "tls_alert"
	ReasonTLSNoCommon   Reason = "tls_no_common"   // no version, cipher, group or signature in common
	ReasonTLSServerName Reason = "tls_server_name" // the SNI, or that there was none
	ReasonTLSALPN       Reason = "tls_alpn"

	ReasonCertUnknownAuthority = Reason(verify.UnknownAuthority)
	ReasonChainIncomplete      = Reason(verify.ChainIncomplete)
	ReasonCertNameMismatch     = Reason(verify.NameMismatch)
	ReasonCertExpired          = Reason(verify.Expired)
	ReasonCertNotYetValid      = Reason(verify.NotYetValid)
	ReasonCertRevoked          = Reason(verify.Revoked)
	ReasonCRLMissing           = Reason(verify.CRLMissing)
	ReasonCRLStale             = Reason(verify.CRLStale)
	ReasonCertPinMismatch      = Reason(verify.PinMismatch)
	ReasonCertUsage            = Reason(verify.Usage)
	ReasonCertInvalid          = Reason(verify.Invalid)

	ReasonClientCertRequired Reason = "client_cert_required" // and none is configured
	ReasonClientCertRejected Reason = "client_cert_rejected"
)

// Case tells apart what one Reason has several cures for. The table of reasons has the cures of each. Users
// never see the word.
type Case string

// The cases.
const (
	CaseNameServer   Case = "name_server"    // of ReasonUpstreamDNS: no DNS server gave an answer
	CaseShortName    Case = "short_name"     // of ReasonUpstreamDNS: a name without a dot does not exist
	CaseLoop         Case = "loop"           // of ReasonUpstreamDNS: the name leads to Config.OwnAddress
	CaseLoopPast     Case = "loop_past"      // the same, and the hosts file was not read
	CaseShortTimeout Case = "short_timeout"  // of ReasonUpstreamSilent: hardly any time was left for an answer
	CaseNoHost       Case = "no_host"        // of ReasonUpstreamUnreachable: host is down, or firewall rejects
	CaseThisMachine  Case = "this_machine"   // of ReasonUpstreamUnreachable: this machine lacks something
	CaseRightPort    Case = "right_port"     // of ReasonUpstreamSilent: a usual one, or it was verified before
	CaseNoAnswer     Case = "no_answer"      // of ReasonUpstreamGone: the end came in answer to SSLRequest
	CaseExpectsTLS   Case = "expects_tls"    // of ReasonNotPostgres: TLS from the first byte
	CaseErrorAnswer  Case = "error_answer"   // of ReasonTLSProtocol: an error in answer to SSLRequest
	CaseLargeHello   Case = "large_hello"    // of ReasonTLSAlert: a hybrid ClientHello is not understood
	CaseInHandshake  Case = "in_handshake"   // of ReasonUpstreamGone
	CaseBusyHere     Case = "busy_here"      // of ReasonTLSTimeout: this process had too much to do
	CaseSlow         Case = "slow"           // of ReasonTLSTimeout: the peer has begun to answer, or is busy
	CaseOnlyHybrid   Case = "only_hybrid"    // PostQuantumRequire; of ReasonTLSNoCommon and of an end without an alert
	CaseOnlyTLS13    Case = "only_tls13"     // of ReasonTLSNoCommon: Config.MinVersion
	CaseOldTLS       Case = "old_tls"        // of ReasonTLSNoCommon: the server has TLS 1.1 or earlier
	CaseGroups       Case = "groups"         // Config.Groups leaves out P-256; likewise
	CaseNoServerName Case = "no_server_name" // of ReasonTLSServerName: an IP address is not sent as SNI
	CaseNoProtocol   Case = "no_protocol"    // of ReasonTLSALPN: refused after SSLRequest
	CaseNoDirectTLS  Case = "no_direct_tls"  // of ReasonTLSProtocol: the server does not take direct TLS
)

// SQLSTATEs.
const (
	sqlStateCannotConnect    = "08001" // sqlclient_unable_to_establish_sqlconnection
	sqlStateConnectionLost   = "08006" // connection_failure
	sqlStateCannotConnectNow = "57P03" // cannot_connect_now: libpq goes on to the next host of its list
)

// mentionedOthers is how many further addresses the sentence of an Error mentions.
const mentionedOthers = 4

// Error says why an address of the upstream gave no verified connection, or why one was lost.
type Error struct {
	Kind  Reason
	Case  Case   // "" means that Kind says all
	Value string // what a cure names, such as a setting that works; "" for none; safe to show
	Addr  string // host:port as configured
	// Resolved is the address behind Addr to which there was a TCP connection; nil if there was none.
	Resolved net.Addr

	Text string // what happened; safe to show to a client, at most 1 KiB
	Err  error  // the cause, or nil; its text may hold what the peer sent, and is not safe to show

	// Also are the further reasons why the upstream's certificate is refused, without Kind, each once.
	Also []Reason
	// Peer describes the upstream's own certificate when it is refused; nil otherwise.
	Peer *PeerCertificate
	// Anchored says that a trusted authority vouches for Peer. Without it, the peer may have made up all of
	// Peer.
	Anchored bool
	// ExpectedName is the name that Peer had to carry. Empty means that any name would do (Config.VerifyCA).
	ExpectedName string

	// Waited is how long a client has waited for the upstream to come back; zero if it did not wait.
	Waited time.Duration

	// Others are the failures of the other addresses that the same Dial tried, in their order.
	Others []*Error

	past past // when the attempt ended

	sqlState string // empty means that of a failed dial
}

// Error returns one sentence of at most 2 KiB that may be shown to a client that has not authenticated.
func (e *Error) Error() string {
	var b strings.Builder
	waited := ""
	if e.Waited >= time.Second/2 {
		waited = fmt.Sprintf("; waited %v for it", e.Waited.Round(100*time.Millisecond))
	}
	fmt.Fprintf(&b, "upstream %s: %s", e.place(), e.Text)
	for i, other := range e.Others {
		if i == mentionedOthers {
			fmt.Fprintf(&b, "; and %d more addresses failed", len(e.Others)-i)
			break
		}
		fmt.Fprintf(&b, "; upstream %s: %s", other.place(), other.Text)
	}
	return safetext.Clip(b.String(), 2*safetext.MaxLength-len(waited)) + waited
}

// place returns Addr, and behind the name of a host the address that was tried.
func (e *Error) place() string {
	tcp, ok := e.Resolved.(*net.TCPAddr)
	host, _, _ := net.SplitHostPort(e.Addr)
	if _, err := netip.ParseAddr(host); !ok || err == nil {
		return e.Addr
	}
	return e.Addr + " (" + tcp.AddrPort().Addr().Unmap().String() + ")"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reason returns Kind as a string, for callers that know errors by their methods.
func (e *Error) Reason() string { return string(e.Kind) }

// SQLState returns the code that a Postgres client should see.
func (e *Error) SQLState() string {
	switch {
	case e.sqlState != "":
		return e.sqlState
	case e.MayPass():
		return sqlStateCannotConnectNow
	}
	return sqlStateCannotConnect
}

// MayPass reports whether waiting may cure the failure. It may not cure a wrong certificate, or a TLS that is
// refused. Of several addresses, the one that came furthest decides, or one that was verified before.
func (e *Error) MayPass() bool {
	return e.passes() || slices.ContainsFunc(e.Others, func(o *Error) bool { return o.past.here && o.passes() })
}

// passes is MayPass for this address alone.
func (e *Error) passes() bool {
	if isLocal(e.Err) || errors.Is(e.Err, errOwnAddress) {
		return false // the upstream is not away
	}
	switch e.Kind { //nolint:exhaustive // waiting cures none of the others
	case ReasonUpstreamDNS, ReasonDNSNoAddress, ReasonUpstreamRefused, ReasonUpstreamUnreachable,
		ReasonUpstreamTimeout, ReasonUpstreamSilent, ReasonUpstreamLost:
		return true
	case ReasonUpstreamGone, ReasonTLSTimeout:
		// A load balancer without servers does that, and a machine that hangs, but also a wrong port. Failures by
		// our own limits pass in any case.
		return e.past.any || e.Case == CaseBusyHere || errors.Is(e.Err, errOutwaited) ||
			errors.Is(e.Err, errOtherHellos)
	}
	return false
}

// furthest merges the failures of several addresses into the one that came closest to a connection: a wrong
// certificate says more than a silent port, and that more than a refused one. Among equals the first address
// wins.
func furthest(failures []*Error) *Error {
	best := 0
	for i, failure := range failures {
		if failure.further(failures[best]) {
			best = i
		}
	}
	merged := *failures[best]
	for i, failure := range failures {
		if i != best {
			merged.Others = append(merged.Others, failure)
		}
	}
	return &merged
}

// further reports whether the attempt of e came closer to a connection than that of other.
func (e *Error) further(other *Error) bool {
	if mine, its := e.Kind.Layer(), other.Kind.Layer(); mine != its {
		return mine > its
	}
	if isLocal(other.Err) && !isLocal(e.Err) {
		return true
	}
	return e.Resolved != nil && other.Resolved == nil // so there was TCP
}

// Layer returns how far an attempt came that ended for r. It returns LayerNone if none ends for r.
func (r Reason) Layer() Layer {
	switch r {
	case ReasonUpstreamDNS, ReasonDNSNoAddress, ReasonUpstreamRefused, ReasonUpstreamUnreachable,
		ReasonUpstreamTimeout, ReasonUpstreamSilent, ReasonUpstreamGone, ReasonUpstreamLost:
		return LayerNetwork
	case ReasonNotPostgres, ReasonTLSRefused, ReasonTLSInjection, ReasonTLSProtocol, ReasonTLSTimeout, ReasonTLSAlert,
		ReasonTLSALPN, ReasonTLSNoCommon, ReasonTLSServerName:
		return LayerTLS
	case ReasonCertUnknownAuthority, ReasonCertNameMismatch, ReasonCertExpired, ReasonCertNotYetValid,
		ReasonCertRevoked, ReasonCertPinMismatch, ReasonCertUsage, ReasonCertInvalid,
		ReasonChainIncomplete, ReasonCRLMissing, ReasonCRLStale,
		ReasonClientCertRequired, ReasonClientCertRejected:
		return LayerCertificate
	}
	return LayerNone
}

// Layer says how far an attempt came. The layers are in order.
type Layer int

// The layers.
const (
	LayerNone Layer = iota // no attempt ends for the word
	LayerNetwork
	LayerTLS
	LayerCertificate // of either side
)

// String returns the layer in a word.
func (l Layer) String() string { return [...]string{"none", "network", "TLS", "certificates"}[l] }
