package observe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// ClientHello logs what the upstream is offered, for people who look for a firewall in between.
func (o *Observer) ClientHello(hello tlsorigin.Hello, err error) {
	origin := zap.String("origin", o.origin)
	if err != nil {
		o.log.Warn("cannot build client hello", origin, Text("error", err.Error()))
		return
	}
	o.log.Info("client hello", origin, zap.Int("bytes", hello.Bytes),
		zap.Strings("groups", tlsorigin.GroupNames(hello.Groups)),
		zap.Strings("key_shares", tlsorigin.GroupNames(hello.KeyShares)))
}

// attempt counts one dialled address. The line of the session has its failure, so this one is for debugging.
func (o *Observer) attempt(a tlsorigin.Attempt) {
	fields := []zap.Field{zap.String("origin", o.origin), Text("upstream_addr", a.Addr)}
	if a.Resolved != nil {
		fields = append(fields, Text("upstream", a.Resolved.String()))
	}
	fields = append(fields, zap.Float64("connect", a.Connect.Seconds()),
		zap.Float64("sslrequest", a.SSLRequest.Seconds()), zap.Float64("tls", a.TLS.Seconds()))
	if a.Fallback != "" {
		fields = append(fields, zap.String("fallback", string(a.Fallback)))
	}
	if a.Probe {
		o.probeAttempt(a, fields)
		return
	}
	if a.Fallback != "" && a.Err == nil {
		o.metrics.Fallback(o.origin, string(a.Fallback))
	}
	if a.Err != nil {
		o.metrics.Dial(o.origin, a.Err.Reason(), a.Connect, a.SSLRequest, a.TLS)
		o.certificateProblems(a.Err)
		fields = append(fields, zap.String("reason", a.Err.Reason()), Text("error", advice.WithCause(a.Err)))
		o.log.Debug("upstream attempt", fields...)
		return
	}
	o.metrics.Dial(o.origin, string(pgwire.ReasonOK), a.Connect, a.SSLRequest, a.TLS)
	o.metrics.Handshake(o.origin, advice.VersionName(a.State.Version), tlsorigin.GroupName(a.State.CurveID))
	if a.State.DidResume {
		o.metrics.Resumption(o.origin)
	}
	o.verified(a)
	o.log.Debug("upstream attempt", append(fields, zap.String("reason", string(pgwire.ReasonOK)))...)
}

// verified remembers what the upstream presented to a client or to a probe.
func (o *Observer) verified(a tlsorigin.Attempt) {
	o.latest.set(a)
	if certs := a.State.PeerCertificates; len(certs) > 0 {
		o.metrics.CertificateNotAfter(o.origin, health.RoleUpstream, certs[0].NotAfter)
	}
	now := time.Now()
	o.checkUpstreamExpiry(a.State.VerifiedChains, now)
	o.CheckExpiry(now) // if the reload interval is off, nothing else does
}

// probeAttempt logs an attempt of a probe. The metrics of connections count only those for clients.
func (o *Observer) probeAttempt(a tlsorigin.Attempt, fields []zap.Field) {
	reason := string(pgwire.ReasonOK)
	if a.Err != nil {
		reason = a.Err.Reason()
		fields = append(fields, Text("error", advice.WithCause(a.Err)))
	} else {
		o.verified(a)
	}
	o.log.Debug("upstream probed", append(fields, zap.String("reason", reason))...)
}

// certificateProblems counts every reason for which the upstream's certificate was refused.
func (o *Observer) certificateProblems(failure *tlsorigin.Error) {
	if failure.Peer == nil {
		return
	}
	for _, reason := range append([]tlsorigin.Reason{failure.Kind}, failure.Also...) {
		o.metrics.CertificateProblem(o.origin, string(reason))
	}
}

// certificateFields describes a refused certificate of the upstream and the further reasons. Its texts are
// safe already. Any other error makes no field.
func certificateFields(err error) []zap.Field {
	var failure *tlsorigin.Error
	if !errors.As(err, &failure) || failure.Peer == nil {
		return nil
	}
	peer := failure.Peer
	fields := []zap.Field{
		Text("expected_name", failure.ExpectedName),
		zap.String("cert_subject", peer.Subject), zap.String("cert_issuer", peer.Issuer),
		zap.Strings("cert_names", peer.Names),
		moment("cert_not_before", peer.NotBefore), moment("cert_not_after", peer.NotAfter),
		zap.String("cert_serial", peer.Serial), zap.String("cert_sha256", peer.SHA256),
	}
	var also []string
	for _, reason := range failure.Also {
		also = append(also, string(reason))
	}
	if also == nil {
		return fields
	}
	return append(fields, zap.Strings("also", also))
}

// lastHandshake is the latest verified handshake. It describes certificates only on request, so that a
// connection does not pay for the status page.
type lastHandshake struct {
	mu       sync.Mutex
	verified health.Verified // without Address and Chain; zero: there was no handshake
	address  net.Addr
	chain    []*x509.Certificate
}

func (h *lastHandshake) set(a tlsorigin.Attempt) {
	verified := health.Verified{
		At: time.Now().UTC(), Upstream: a.Addr,
		Version: advice.VersionName(a.State.Version), Cipher: tls.CipherSuiteName(a.State.CipherSuite),
		Group: tlsorigin.GroupName(a.State.CurveID), PostQuantum: tlsorigin.IsHybrid(a.State.CurveID),
		Resumed: a.State.DidResume,
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.verified, h.address, h.chain = verified, a.Resolved, lastingChain(a.State.VerifiedChains)
}

// lastChain returns the verified chain, leaf first. Nil means that there was no handshake.
func (h *lastHandshake) lastChain() []*x509.Certificate {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.chain
}

// describe returns nil if there was no handshake.
func (h *lastHandshake) describe(now time.Time) *health.Verified {
	h.mu.Lock()
	verified, address, chain := h.verified, h.address, h.chain
	h.mu.Unlock()
	if verified.At.IsZero() {
		return nil
	}
	verified.Address, verified.Chain = address.String(), []health.Certificate{}
	for _, d := range tlsorigin.Describe(chain, now) {
		verified.Chain = append(verified.Chain, health.Certificate{
			Subject: d.Subject, Issuer: d.Issuer, Names: append([]string{}, d.Names...),
			Key: d.Key, SHA256: d.SHA256,
			NotBefore: d.NotBefore, NotAfter: d.NotAfter, DaysLeft: d.DaysLeft,
		})
	}
	return &verified
}

// lastingChain returns the chain that is valid longest. Without chains it returns nil.
func lastingChain(chains [][]*x509.Certificate) []*x509.Certificate {
	var lasting []*x509.Certificate
	for _, chain := range chains {
		if lasting == nil || firstToEnd(chain).NotAfter.After(firstToEnd(lasting).NotAfter) {
			lasting = chain
		}
	}
	return lasting
}

// firstToEnd returns the certificate that expires first.
func firstToEnd(chain []*x509.Certificate) *x509.Certificate {
	return slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
}
