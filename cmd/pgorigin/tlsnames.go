package main

import (
	"crypto/tls"
	"errors"
	"strings"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// versionName returns "1.3" and the like, "" for no TLS.
func versionName(version uint16) string {
	if version == 0 {
		return ""
	}
	return strings.TrimPrefix(tls.VersionName(version), "TLS ")
}

// groupName returns the name of a key-exchange group as operators write it, "" for none.
func groupName(id tls.CurveID) string { return tlsorigin.GroupName(id) }

// peerName returns the name that was verified. If that was an IP address, TLS does not tell, and the subject or else the
// first address in the certificate has to do.
func peerName(state tls.ConnectionState) string {
	if state.ServerName != "" || len(state.PeerCertificates) == 0 {
		return state.ServerName
	}
	leaf := state.PeerCertificates[0]
	if subject := leaf.Subject.String(); subject != "" || len(leaf.IPAddresses) == 0 {
		return subject
	}
	return leaf.IPAddresses[0].String()
}

// withCause returns the text of err and, where err keeps its cause to itself because clients see its text, the cause.
func withCause(err error) string {
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

// cipherName returns the name of a cipher suite.
func cipherName(id uint16) string { return tls.CipherSuiteName(id) }
