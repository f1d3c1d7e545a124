package tlsorigin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// problem is why there is no connection, in a text that is safe to show. Where a function returns a *problem,
// nil means that all is well.
type problem struct {
	reason Reason
	text   string
	which  Case   // "" means that reason says all
	value  string // for the cure; see Error.Value
}

func because(reason Reason, format string, args ...any) *problem {
	return &problem{reason: reason, text: fmt.Sprintf(format, args...)}
}

// as adds the case of the reason.
func (p *problem) as(which Case) *problem {
	p.which = which
	return p
}

// with adds what the cure names.
func (p *problem) with(value string) *problem {
	p.value = value
	return p
}

// lookupFailure explains why a lookup of at most budget gave no address. Nil as err means that its answer was
// empty.
func lookupFailure(err error, budget time.Duration) *problem {
	if err == nil {
		return because(ReasonDNSNoAddress, "its name has no address")
	}
	var more *lookupError
	var dns *net.DNSError
	if !errors.As(err, &more) {
		more = new(lookupError)
	}
	asked := "DNS"
	if errors.As(err, &dns) {
		asked = namedServers(append(more.servers, dns.Server))
	}
	switch {
	case more.exists != "":
		return because(ReasonDNSNoAddress, "the name %s exists in DNS, but has no address there (neither IPv4 nor IPv6)",
			safetext.Quote(more.exists))
	case dns != nil && dns.IsNotFound:
		return unknownName(dns.Name, more)
	case isTimeout(err):
		return because(ReasonUpstreamDNS, "got no answer for its name from %s within %v", asked, rounded(budget)).
			as(CaseNameServer)
	case dns != nil && dns.Server != "":
		return because(ReasonUpstreamDNS, "%s failed to look up this name (%s)", asked,
			strings.Trim(safetext.Quote(dns.Err), `"`)).as(CaseNameServer)
	}
	return because(ReasonUpstreamDNS, "DNS lookup of its name failed").as(CaseNameServer)
}

// unknownName is the problem of a name that does not exist.
func unknownName(name string, more *lookupError) *problem {
	text := "its name does not exist in DNS"
	switch {
	case more.past:
		text += ", and pgorigin does not read the hosts file"
	case !more.checked:
		text += ", or has no address there"
	}
	found := because(ReasonUpstreamDNS, "%s", text)
	if name != "" && !strings.Contains(name, ".") {
		return found.as(CaseShortName).with(name + ".NAMESPACE.svc")
	}
	return found
}

// namedServers says which DNS servers are meant. What is no address and port is left out.
func namedServers(servers []string) string {
	var named []string
	for _, server := range servers {
		if addr, err := netip.ParseAddrPort(server); err == nil && !slices.Contains(named, addr.String()) {
			named = append(named, addr.String())
		}
	}
	switch len(named) {
	case 0:
		return "DNS"
	case 1:
		return "DNS server " + named[0]
	}
	return "DNS servers " + strings.Join(named[:min(len(named), safetext.MaxNames)], ", ")
}

// connectFailure explains why there is no TCP connection after budget.
func connectFailure(err error, budget time.Duration) *problem {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return lookupFailure(err, budget)
	}
	where := ""
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		where = " to " + op.Addr.String() // resolved by us, so an IP address and a port
	}
	var errno syscall.Errno
	switch {
	case isLocal(err):
		return because(ReasonUpstreamUnreachable, "no TCP connection%s: this machine has %s", where, lacking(err)).
			as(CaseThisMachine)
	case isTimeout(err):
		return because(ReasonUpstreamTimeout, "no TCP connection%s within %v", where, rounded(budget))
	case errors.Is(err, syscall.ECONNREFUSED):
		return because(ReasonUpstreamRefused, "TCP connection%s refused", where)
	case errors.Is(err, syscall.EHOSTUNREACH):
		text := syscall.EHOSTUNREACH.Error()
		return because(ReasonUpstreamUnreachable, "no TCP connection%s: %s", where, text).as(CaseNoHost)
	case errors.As(err, &errno):
		return because(ReasonUpstreamUnreachable, "no TCP connection%s: %s", where, errno.Error())
	}
	return because(ReasonUpstreamUnreachable, "no TCP connection%s", where)
}

// lostFailure explains the end of a connection before TLS. The text when says how far it had come.
func (a *attempt) lostFailure(err error, when string) *problem {
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return because(ReasonUpstreamLost, "accepted TCP but then acknowledged nothing: the connection is lost")
	case isTimeout(err):
		return a.silent("SSLRequest")
	case isUnreachable(err):
		return because(ReasonUpstreamUnreachable, "became unreachable %s", when)
	}
	return because(ReasonUpstreamGone, "%s the connection %s", ending(err), when).as(CaseNoAnswer)
}

// shortBudget is less than what even a good server may need when it is busy.
const shortBudget = 900 * time.Millisecond

// silent is the problem of a peer that accepted TCP and gave no answer to what it was sent first.
func (a *attempt) silent(sent string) *problem {
	found := because(ReasonUpstreamSilent, "accepted TCP but gave no answer to %s within %v", sent,
		rounded(a.budget))
	_, port, _ := net.SplitHostPort(a.route.host)
	switch {
	case a.budget < shortBudget:
		return found.as(CaseShortTimeout)
	case a.variant.known || port == "5432" || port == "6432":
		return found.as(CaseRightPort)
	}
	return found
}

// handshakeFailure explains why a handshake failed in which the peer sent received bytes.
func (a *attempt) handshakeFailure(err error, received int64) *problem {
	var refused *verify.Refusal
	var notTLS tls.RecordHeaderError
	var noPermit noPermitError
	switch {
	case errors.As(err, &noPermit):
		return because(ReasonTLSTimeout,
			"answered, but this machine was busy with %d other TLS handshakes until the timeout",
			noPermit.others).as(CaseBusyHere)
	case errors.As(err, &refused):
		return a.certificateFailure(refused)
	case errors.As(err, &notTLS):
		return a.plaintextFailure(notTLS.RecordHeader)
	case a.route.direct && isGone(err) && received == 0:
		return noDirectTLS()
	case errors.Is(err, syscall.ETIMEDOUT):
		return because(ReasonUpstreamLost,
			"acknowledged nothing during the TLS handshake: the connection is lost")
	case isTimeout(err) && received == 0 && a.route.direct && !a.hybrid():
		return a.silent("a ClientHello")
	case isTimeout(err) && received == 0:
		hello := "the ClientHello"
		if a.hybrid() {
			hello += ", which post-quantum key exchange makes large,"
		}
		return because(ReasonTLSTimeout, "%s but gave no answer to %s within %v", a.opening(), hello,
			rounded(a.waited(received))).as(a.unanswered(""))
	case isTimeout(err):
		return because(ReasonTLSTimeout,
			"%s but did not complete the handshake within %v (received %d bytes)", a.opening(),
			rounded(a.waited(received)), received).as(CaseSlow)
	}
	if found := alertFailure(err, a.auth); found != nil {
		return a.inHandshake(found, err, received)
	}
	switch {
	case isGone(err) && received == 0:
		return because(ReasonUpstreamGone, "agreed to TLS but %s the connection before it sent any TLS data", ending(err)).
			as(a.unanswered(CaseInHandshake))
	case isGone(err):
		return because(ReasonUpstreamGone,
			"%s the connection in the middle of the TLS handshake (received %d bytes)", ending(err), received).
			as(CaseInHandshake)
	case isUnreachable(err):
		return because(ReasonUpstreamUnreachable, "became unreachable during the TLS handshake")
	}
	if found := a.auth.unusable(err); found != nil {
		return found
	}
	if found := unusableCertificate(err); found != nil {
		return found
	}
	if found := a.unofferedChoice(err); found != nil {
		return found
	}
	return because(ReasonTLSProtocol, "broke the TLS protocol%s", tlsMessage(err))
}

// opening says what the peer did before TLS.
func (a *attempt) opening() string {
	if a.route.direct {
		return "accepted TCP"
	}
	return "agreed to TLS"
}

// unanswered returns the case of a ClientHello without an answer. It is usual, unless only a large ClientHello
// may be sent: that may be the trouble.
func (a *attempt) unanswered(usual Case) Case {
	switch {
	case !a.hybrid() || a.variant.fallible:
		return usual
	case a.exchange.policy == PostQuantumRequire:
		return CaseOnlyHybrid
	}
	return CaseGroups
}

// plaintextFailure explains an answer to a ClientHello that begins with header and is not TLS.
func (a *attempt) plaintextFailure(header [recordHeader]byte) *problem {
	greeting := header[:]
	if !a.route.direct {
		greeting = append([]byte("S"), greeting...) // that was taken for the answer to SSLRequest
	}
	name := protocolOf(greeting)
	switch {
	case name != "":
		return notPostgres(name)
	case a.route.direct && greeting[0] == 'E':
		// This begins an ErrorResponse. It is not read, because the peer has proved nothing (CVE-2024-10977).
		return noDirectTLS()
	case a.route.direct:
		return because(ReasonNotPostgres, "answered a ClientHello with something that is not TLS")
	}
	return because(ReasonTLSProtocol, "agreed to TLS but then sent something that is not TLS")
}

func noDirectTLS() *problem {
	return because(ReasonTLSProtocol, "does not take direct TLS: the server is probably too old for it "+
		"(needs PostgreSQL 17 or pgbouncer 1.25)").as(CaseNoDirectTLS)
}

// certificateFailure explains why certificates are refused and keeps the details for the *Error.
func (a *attempt) certificateFailure(r *verify.Refusal) *problem {
	now := time.Now()
	e := a.state.policy.Explain(r, a.route.name, now)
	a.details = &certificateDetails{anchored: e.Anchored}
	if !a.state.policy.IgnoreName {
		a.details.name = a.route.name
	}
	for _, reason := range e.Also {
		a.details.also = append(a.details.also, Reason(reason))
	}
	if len(r.Sent) > 0 {
		peer := DescribeCertificate(r.Sent[0], now)
		a.details.peer = &peer
	}
	if e.Reason == verify.NameMismatch && a.fitsHost(r.Sent[0]) {
		return because(Reason(e.Reason), "%s", e.Text).as(CaseHostFits)
	}
	return &problem{reason: Reason(e.Reason), text: e.Text, which: Case(e.Case), value: e.Value}
}

// fitsHost reports whether leaf is valid for the host of the address, where another name is configured.
func (a *attempt) fitsHost(leaf *x509.Certificate) bool {
	host, _, err := net.SplitHostPort(a.route.host)
	return err == nil && host != a.route.name && leaf.VerifyHostname(host) == nil
}

// unusableCertificate explains a certificate that crypto/tls does not even verify. Only the text of err says
// so, and it may quote the certificate. Nil means that err is about something else.
func unusableCertificate(err error) *problem {
	text := err.Error()
	switch {
	case strings.Contains(text, "RSA key larger than"):
		return because(ReasonCertInvalid,
			"sent a certificate with an RSA key that is too large, at most 8192 bits are supported").as(CaseKeyKind)
	case strings.Contains(text, "unsupported type of public key"):
		return because(ReasonCertInvalid, "sent a certificate with a kind of key that is not supported").
			as(CaseKeyKind)
	case strings.Contains(text, "certificate from server"):
		return because(ReasonCertInvalid, "sent a certificate that cannot be parsed")
	}
	return nil
}

// connectionLost explains an error of an established connection that is not an alert.
func connectionLost(err error) *problem {
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return because(ReasonUpstreamLost, "acknowledged nothing for %v: the connection is lost",
			silenceLimit)
	case isUnreachable(err):
		return because(ReasonUpstreamLost, "cannot be reached any more: the connection is lost")
	case isGone(err):
		return because(ReasonUpstreamGone, "%s the connection", ending(err))
	}
	return because(ReasonTLSProtocol, "broke the TLS protocol%s", tlsMessage(err))
}

// tlsMessage returns the message of crypto/tls in parentheses. Its messages are constants and numbers, except
// those about certificates, for which tlsMessage returns "".
func tlsMessage(err error) string {
	text := err.Error()
	if !strings.Contains(text, "tls: ") || strings.Contains(text, "x509") ||
		strings.Contains(text, "certificate") {
		return ""
	}
	return " (" + strings.Trim(safetext.Quote(text), `"`) + ")"
}

// ending says what the peer did to the connection.
func ending(err error) string {
	if errors.Is(err, syscall.ECONNRESET) {
		return "reset"
	}
	return "closed"
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &timeout) && timeout.Timeout()
}

// isLocal reports whether err is about this machine, and says nothing about the upstream.
func isLocal(err error) bool { return lacking(err) != "" }

// lacking returns what this machine lacks; "" if err says nothing like that.
func lacking(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "no file descriptor left"
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return "no memory left for it"
	case errors.Is(err, syscall.EADDRNOTAVAIL) && !toIPv6(err): // without IPv6, it means that
		return "no local port left"
	}
	return ""
}

// toIPv6 reports whether err is that of a dial of an IPv6 address.
func toIPv6(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) {
		return false
	}
	to, ok := op.Addr.(*net.TCPAddr)
	return ok && to.IP.To4() == nil
}

func isUnreachable(err error) bool {
	return errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNABORTED)
}

func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
