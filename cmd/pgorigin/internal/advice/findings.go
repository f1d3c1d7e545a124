package advice

import (
	"errors"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// WithCause returns the text of err and the cause that err keeps to itself, because clients see its text.
func WithCause(err error) string {
	text := err.Error()
	if cause := hiddenCause(err); cause != nil {
		text += ": " + cause.Error()
	}
	return text
}

// hiddenCause returns nil if the text of err says all.
func hiddenCause(err error) error {
	var ofSession *pgwire.Error
	if errors.As(err, &ofSession) && ofSession.Err != nil {
		return ofSession.Err
	}
	var ofDial *tlsorigin.Error
	if errors.As(err, &ofDial) && ofDial.Peer == nil { // the text explains what is wrong with a certificate
		return ofDial.Err
	}
	return nil
}

// ExpiryCure says what to do about a certificate or a revocation list that expires.
func ExpiryCure(role string, o *config.Origin) string {
	switch role {
	case health.RoleCA:
		return o.Fill("add the next CA to {TLS_CA_FILE}")
	case health.RoleClient:
		return o.Fill("renew it, in {TLS_CERT_FILE} and {TLS_KEY_FILE}")
	case health.RoleListener:
		return o.Fill("renew it, in {LISTEN_TLS_CERT_FILE} and {LISTEN_TLS_KEY_FILE}")
	case health.RoleCRL:
		return o.Fill("put the issuer's latest list into {TLS_CRL_FILE}")
	}
	return o.Fill("renew the certificate of the upstream at {UPSTREAM_ADDR}")
}

// VanishCure is for a large ClientHello that gets no answer where a small one does.
func VanishCure(o *config.Origin) string {
	return o.Fill("Let firewalls and inspection boxes on the way to {UPSTREAM_ADDR} pass a ClientHello " +
		"of more than one packet. Or set {own:TLS_POST_QUANTUM}=off to send small ones only.")
}

// FallbackCause says how the first ClientHello came to nothing, and what that usually means.
func FallbackCause(cause tlsorigin.VanishCause) string {
	switch cause {
	case tlsorigin.CausePacketsLost:
		return "large packets are lost on the way: check the MTU"
	case tlsorigin.CauseUnanswered:
		return "the ClientHello arrived but got no answer: an inspection box, or a server that reads once"
	case tlsorigin.CauseReset:
		return "the answer to the ClientHello was a reset: an inspection box, or a server that reads once"
	case tlsorigin.CauseClosed:
		return "the answer to the ClientHello was the end of the connection: " +
			"an inspection box, or a server that reads once"
	}
	return "the ClientHello got no answer"
}

// FallbackCure says what to change so that connections need no fallback.
func FallbackCure(f tlsorigin.Fallback, o *config.Origin) string {
	if f == tlsorigin.FallbackSmallSegments {
		return "repair the MTU, or let ICMP 'fragmentation needed' pass; until then, pgorigin sends small TCP segments"
	}
	return o.Fill("let the firewall pass a ClientHello in two segments; " +
		"{TLS_POST_QUANTUM}=off offers no hybrids, =require never falls back")
}
