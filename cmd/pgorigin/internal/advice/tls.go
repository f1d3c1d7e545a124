package advice

import (
	"crypto/tls"
	"errors"
	"strings"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// VersionName returns "1.3" and the like, "" for no TLS.
func VersionName(version uint16) string {
	if version == 0 {
		return ""
	}
	return strings.TrimPrefix(tls.VersionName(version), "TLS ")
}

// PeerName returns the name that was verified. If that was an IP address, TLS does not tell, and the subject or else the
// first address in the certificate has to do.
func PeerName(state tls.ConnectionState) string {
	if state.ServerName != "" || len(state.PeerCertificates) == 0 {
		return state.ServerName
	}
	leaf := state.PeerCertificates[0]
	if subject := leaf.Subject.String(); subject != "" || len(leaf.IPAddresses) == 0 {
		return subject
	}
	return leaf.IPAddresses[0].String()
}

// WithCause returns the text of err and, where err keeps its cause to itself because clients see its text, the cause.
func WithCause(err error) string {
	text := err.Error()
	var failure *tlsorigin.Error
	if errors.As(err, &failure) && failure.Peer != nil {
		return text // which explains the cause
	}
	if cause := errors.Unwrap(err); cause != nil && !strings.Contains(text, cause.Error()) {
		text += ": " + cause.Error()
	}
	return text
}
