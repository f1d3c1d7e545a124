package tlsorigin

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/alert"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/verify"
)

// The cases of ReasonClientCertRejected.
const (
	CaseClientExpired Case = "client_expired"
	CaseClientEarly   Case = "client_early"  // not valid yet
	CaseClientUsage   Case = "client_usage"  // not for clients
	CaseClientChain   Case = "client_chain"  // Value is the authority whose certificate is missing
	CaseClientIssuer  Case = "client_issuer" // not trusted by the upstream; Value is the issuer
	CaseClientListed  Case = "client_listed" // the upstream knows the issuer, which is Value
	CaseClientRevoked Case = "client_revoked"
	CaseClientDates   Case = "client_dates" // the upstream takes it for expired, and it is not
	CaseClientKey     Case = "client_key"   // no signature of its key will do
)

// clientAuth notes what the upstream of one connection asked for. The handshake writes it before anything
// reads it.
type clientAuth struct {
	configured *tls.Certificate // nil means that there is none
	upstream   *verification    // of the same connection; may be nil
	requested  bool
	listed     bool // the upstream sent a list of authorities, with an issuer of ours
	unlisted   bool // the list has no issuer of ours
}

// answer is a tls.Config.GetClientCertificate. It returns the configured certificate whatever list of
// authorities the server sent, as libpq does. tls.Config.Certificates would send none if the list does not
// match, and the server would complain of a missing certificate instead of a foreign one.
func (a *clientAuth) answer(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	a.requested = true
	if a.configured == nil {
		return new(tls.Certificate), nil
	}
	if len(request.AcceptableCAs) > 0 {
		a.listed = a.issuedByOneOf(request.AcceptableCAs)
		a.unlisted = !a.listed
	}
	return a.configured, nil
}

// unusable explains a configured certificate whose key can make no signature that the upstream takes. Only the
// text of crypto/tls says so. Nil means that err is about something else.
func (a *clientAuth) unusable(err error) *problem {
	text := err.Error()
	if !a.requested || a.configured == nil || !strings.Contains(text, "tls: unsupported certificate ") &&
		!strings.Contains(text, "certificate's signature algorithms") {
		return nil
	}
	leaf := a.configured.Leaf
	return because(ReasonClientCertRejected, "accepts no signature that the key of the client certificate %s "+
		"can make (%s)", verify.CertificateName(leaf), keyText(leaf)).as(CaseClientKey)
}

// issuedByOneOf reports whether a certificate of the configured chain was issued under one of the names
// (DER).
func (a *clientAuth) issuedByOneOf(authorities [][]byte) bool {
	return slices.ContainsFunc(a.chain(), func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(authorities, func(name []byte) bool { return bytes.Equal(name, cert.RawIssuer) })
	})
}

// chain parses the configured chain, leaf first.
func (a *clientAuth) chain() (chain []*x509.Certificate) {
	for _, der := range a.configured.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil { // loadClient parsed it already
			chain = append(chain, cert)
		}
	}
	return chain
}

// failure explains an alert that is about the client certificate. Nil means that it is about something else.
// It can only be about the client certificate if the peer has asked for one.
func (a *clientAuth) failure(number uint8, name string, now time.Time) *problem {
	about := alert.BadCertificate <= number && number <= alert.CertificateUnknown ||
		number == alert.UnknownCA || number == alert.AccessDenied || number == alert.CertificateRequired ||
		number == alert.HandshakeFailure // of TLS 1.2, for a missing one: the ClientHello was good enough
	switch {
	case !a.requested || !about:
		return nil
	case a.configured == nil:
		return because(ReasonClientCertRequired,
			"asked for a client certificate, and none is configured: %s", name)
	}
	return a.rejection(number, name, now)
}

// rejection explains why the peer rejected the configured certificate. What is wrong here weighs more than
// the alert: many servers send the same one for everything.
func (a *clientAuth) rejection(number uint8, name string, now time.Time) *problem {
	chain := a.chain()
	leaf, top := chain[0], chain[len(chain)-1]
	rejected := func(format string, args ...any) *problem {
		return because(ReasonClientCertRejected, "rejected the client certificate %s%s: %s",
			verify.CertificateName(leaf), fmt.Sprintf(format, args...), name)
	}
	for i, cert := range chain {
		found, which := verify.DateProblem(cert, now), "which "
		if i > 0 {
			which = "whose authority " + verify.CertificateName(cert) + " "
		}
		switch {
		case found == nil:
		case found.Reason == verify.NotYetValid:
			return rejected(", %s%s", which, found.Text).as(CaseClientEarly)
		default:
			return rejected(", %s%s", which, found.Text).as(CaseClientExpired)
		}
	}
	if found := verify.ClientUsageProblem(leaf); found != nil {
		return rejected(", which %s", found.Text).as(CaseClientUsage)
	}
	switch issuer := verify.NameOf(top.Issuer); {
	case (a.unlisted || number == alert.UnknownCA && !a.listed) && (a.sharesIntermediate(top) || verify.ByIntermediate(top)):
		return rejected(", which came without the certificate of its authority %s", issuer).
			as(CaseClientChain).with(issuer)
	case a.unlisted:
		return rejected(" (issued by %s), whose issuer is not in the list of authorities that it accepts",
			issuer).as(CaseClientIssuer).with(issuer)
	case number == alert.UnknownCA && a.listed: // OpenSSL says so, too, if it lacks a revocation list
		return rejected(" (issued by %s), although its issuer is in the list of authorities that it accepts",
			issuer).as(CaseClientListed).with(issuer)
	case number == alert.UnknownCA:
		return rejected(" (issued by %s), whose issuer it does not trust", issuer).
			as(CaseClientIssuer).with(issuer)
	case number == alert.CertificateRevoked:
		return rejected(" (serial number %s), which has been revoked", verify.SerialText(leaf)).
			as(CaseClientRevoked)
	case number == alert.CertificateExpired:
		return rejected(", which is valid by the clock of this machine, until %s", leaf.NotAfter.UTC().Format(time.RFC3339)).
			as(CaseClientDates)
	}
	return rejected("")
}

// sharesIntermediate reports whether the issuer of cert is an intermediate of the upstream's own chain, which
// is verified.
func (a *clientAuth) sharesIntermediate(cert *x509.Certificate) bool {
	if a.upstream == nil || bytes.Equal(cert.RawIssuer, cert.RawSubject) {
		return false
	}
	return slices.ContainsFunc(a.upstream.chains, func(chain []*x509.Certificate) bool {
		return len(chain) > 2 && slices.ContainsFunc(chain[1:len(chain)-1], func(between *x509.Certificate) bool {
			return bytes.Equal(between.RawSubject, cert.RawIssuer)
		})
	})
}

// unfitKey explains that key is not that of the first of certs, the content of certFile.
func unfitKey(certFile string, certs []*x509.Certificate, key []byte, cause error) error {
	for i, cert := range certs[1:] {
		der := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
		if _, err := tls.X509KeyPair(der, key); err == nil {
			return fmt.Errorf("fits certificate %d of %q, and not the first: put that one first", i+2, certFile)
		}
	}
	return fmt.Errorf("does not fit the first certificate %s of %q: %w", verify.CertificateName(certs[0]),
		certFile, cause)
}
