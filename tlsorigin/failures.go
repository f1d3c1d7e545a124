package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"
)

// finding is a reason with its client-safe text.
type finding struct {
	kind Reason
	text string
}

// connectFailure explains why there is no TCP connection.
func connectFailure(err error, budget time.Duration) finding {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		switch {
		case dns.IsNotFound:
			return finding{ReasonUpstreamDNS, "its name does not exist in DNS"}
		case dns.IsTimeout:
			return finding{ReasonUpstreamDNS, fmt.Sprintf("DNS gave no answer for its name within %v", rounded(budget))}
		}
		return finding{ReasonUpstreamDNS, "DNS lookup of its name went wrong"}
	}
	where := ""
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		where = " to " + op.Addr.String() // resolved by us, so an IP address and a port
	}
	var errno syscall.Errno
	switch {
	case isTimeout(err):
		return finding{ReasonUpstreamTimeout, fmt.Sprintf("no TCP connection%s within %v", where, rounded(budget))}
	case errors.Is(err, syscall.ECONNREFUSED):
		return finding{ReasonUpstreamRefused, fmt.Sprintf("TCP connection%s refused", where)}
	case errors.As(err, &errno):
		return finding{ReasonUpstreamUnreachable, fmt.Sprintf("no TCP connection%s: %s", where, errno.Error())}
	}
	return finding{ReasonUpstreamUnreachable, "no TCP connection" + where}
}

// lostFailure explains the end of a connection before TLS; when says how far it had come.
func lostFailure(err error, when string, budget time.Duration) finding {
	if isTimeout(err) {
		return finding{ReasonUpstreamTimeout, fmt.Sprintf("accepted TCP but gave no answer to SSLRequest within %v", rounded(budget))}
	}
	if isUnreachable(err) {
		return finding{ReasonUpstreamUnreachable, "became unreachable " + when}
	}
	return finding{ReasonUpstreamGone, "closed the connection " + when}
}

// answerProblem judges the answer to SSLRequest; a finding without text means 'S'. An 'E' begins an ErrorResponse. It
// comes from somebody who has proved nothing, so it is not even read (CVE-2024-10977).
func answerProblem(answer byte) finding {
	switch answer {
	case 'S':
		return finding{}
	case 'N':
		return finding{ReasonTLSRefused, "refuses TLS (answered SSLRequest with N)"}
	case 'E':
		return finding{ReasonTLSProtocol, "answered SSLRequest with an error"}
	}
	return finding{ReasonTLSProtocol, fmt.Sprintf("answered SSLRequest with byte 0x%02x instead of S or N; is it a Postgres server?", answer)}
}

// handshakeFailure explains why a handshake came to nothing; received counts the bytes that the peer sent in it.
func (a *attempt) handshakeFailure(err error, received int64) finding {
	var refused *refusal
	var notTLS tls.RecordHeaderError
	var noTurn noTurnError
	switch {
	case errors.As(err, &noTurn):
		return finding{ReasonTLSTimeout, fmt.Sprintf("answered, but this machine was busy with %d other TLS handshakes until the time was up", noTurn.others)}
	case errors.As(err, &refused):
		return a.certificateFailure(refused)
	case errors.As(err, &notTLS) && a.route.direct && notTLS.RecordHeader[0] == 'E', errors.Is(err, io.EOF) && a.route.direct && received == 0:
		// The 'E' begins an ErrorResponse, which is not read: nobody has proved anything yet (CVE-2024-10977).
		return finding{ReasonTLSProtocol, "does not take direct TLS: the server is probably too old for it (needs PostgreSQL 17 or pgbouncer 1.25)"}
	case errors.As(err, &notTLS):
		return finding{ReasonTLSProtocol, "agreed to TLS but then sent something that is not TLS"}
	case isTimeout(err):
		return finding{ReasonTLSTimeout, fmt.Sprintf("agreed to TLS but did not complete the handshake within %v (received %d bytes)", rounded(a.waited(received)), received)}
	}
	if found, ok := alertFailure(err, &a.auth); ok {
		return found
	}
	switch {
	case isGone(err) && received == 0:
		return finding{ReasonUpstreamGone, "agreed to TLS but closed the connection before it sent any"}
	case isGone(err):
		return finding{ReasonUpstreamGone, fmt.Sprintf("closed the connection in the middle of the TLS handshake (received %d bytes)", received)}
	case isUnreachable(err):
		return finding{ReasonUpstreamUnreachable, "became unreachable during the TLS handshake"}
	}
	if text := unusableCertificate(err); text != "" {
		return finding{ReasonCertInvalid, text}
	}
	return finding{ReasonTLSProtocol, "broke the TLS protocol" + own(err)}
}

// certificateFailure explains why certificates are refused and keeps the details for the *Error.
func (a *attempt) certificateFailure(r *refusal) finding {
	now, name := time.Now(), a.route.name
	if a.trust.verifyCA {
		name = ""
	}
	found, anchored := a.trust.reasons(r, name, now)
	a.details = &certificateDetails{name: name, also: otherReasons(found), anchored: anchored}
	if len(r.sent) > 0 {
		peer := describe(r.sent[0], true, now)
		a.details.peer = &peer
	}
	return finding{found[0].kind, sentence(found)}
}

// otherReasons returns the reasons behind the first, each once.
func otherReasons(found []finding) []Reason {
	var others []Reason
	for _, f := range found[1:] {
		if f.kind != found[0].kind && !slices.Contains(others, f.kind) {
			others = append(others, f.kind)
		}
	}
	return others
}

// unusableCertificate explains what crypto/tls says about a certificate that it does not even verify. Its own text may
// quote the certificate.
func unusableCertificate(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "RSA key larger than"):
		return "sent a certificate with an RSA key that is too large, at most 8192 bits are supported"
	case strings.Contains(text, "unsupported type of public key"):
		return "sent a certificate with a kind of key that is not supported"
	case strings.Contains(text, "certificate from server"):
		return "sent a certificate that cannot be parsed"
	}
	return ""
}

// connectionLost explains an error of an established connection that is no alert.
func connectionLost(err error) finding {
	switch {
	case errors.Is(err, syscall.ETIMEDOUT):
		return finding{ReasonUpstreamLost, fmt.Sprintf("acknowledged nothing for %v: the connection is lost", silenceLimit)}
	case isUnreachable(err):
		return finding{ReasonUpstreamLost, "cannot be reached any more: the connection is lost"}
	case errors.Is(err, syscall.ECONNRESET):
		return finding{ReasonUpstreamGone, "reset the connection"}
	case isGone(err):
		return finding{ReasonUpstreamGone, "closed the connection"}
	}
	return finding{ReasonTLSProtocol, "broke the TLS protocol" + own(err)}
}

// own returns what crypto/tls says in words of its own, for appending: its messages are constants and numbers, except
// those about certificates.
func own(err error) string {
	text := err.Error()
	if !strings.Contains(text, "tls: ") || strings.Contains(text, "x509") || strings.Contains(text, "certificate") {
		return ""
	}
	return " (" + strings.Trim(quote(text), `"`) + ")"
}

// Alerts of RFC 8446, section 6, that pgorigin tells apart.
const (
	alertHandshakeFailure    = 40
	alertBadCertificate      = 42 // to alertCertificateUnknown: about the certificate of the receiver
	alertCertificateUnknown  = 46
	alertUnknownCA           = 48
	alertAccessDenied        = 49
	alertProtocolVersion     = 70
	alertUnrecognizedName    = 112
	alertCertificateRequired = 116
	alertNoProtocol          = 120
)

// alertNumber returns the alert that the peer sent. crypto/tls hides it: the error is a *net.OpError around an
// unexported type, which is not tls.AlertError, so only its kind can be asked for.
func alertNumber(err error) (number uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	value := reflect.ValueOf(op.Err)
	if value.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(value.Uint()), true
}

// alertName names the alert in err, which must be one.
func alertName(err error) string {
	number, _ := alertNumber(err)
	return fmt.Sprintf("TLS alert %d (%s)", number, strings.TrimPrefix(tls.AlertError(number).Error(), "tls: "))
}

// alertFailure explains an alert that the peer sent before any data; ok is false if err is none. An alert
// about the client certificate says nothing about it when none was asked for.
func alertFailure(err error, auth *clientAuth) (found finding, ok bool) {
	number, ok := alertNumber(err)
	if !ok {
		return finding{}, false
	}
	name := alertName(err)
	aboutCertificate := auth.requested && (alertBadCertificate <= number && number <= alertCertificateUnknown ||
		number == alertUnknownCA || number == alertAccessDenied || number == alertCertificateRequired)
	missing := auth.requested && auth.configured == nil
	switch {
	case missing && (aboutCertificate || number == alertHandshakeFailure):
		return finding{ReasonClientCertRejected, "asked for a client certificate, and none is configured: " + name}, true
	case aboutCertificate && auth.unlisted:
		return finding{ReasonClientCertRejected, fmt.Sprintf("rejected the client certificate %s, whose issuer is not in the list of authorities that it accepts: %s",
			certificateName(auth.configured.Leaf), name)}, true
	case aboutCertificate:
		return finding{ReasonClientCertRejected, fmt.Sprintf("rejected the client certificate %s: %s", certificateName(auth.configured.Leaf), name)}, true
	case number == alertNoProtocol:
		return finding{ReasonTLSALPN, "does not know the protocol " + protocolName + " (ALPN): " + name}, true
	case number == alertProtocolVersion:
		return finding{ReasonTLSAlert, "speaks none of the TLS versions that are allowed here: " + name}, true
	case number == alertUnrecognizedName:
		return finding{ReasonTLSAlert, "does not know the server name that it was asked for: " + name}, true
	}
	return finding{ReasonTLSAlert, "refused the TLS handshake with " + name}, true
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &timeout) && timeout.Timeout()
}

func isUnreachable(err error) bool {
	return errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
