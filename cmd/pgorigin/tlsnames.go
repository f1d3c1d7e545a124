package main

import (
	"crypto/tls"
	"errors"
	"strings"
)

// versionName returns "1.3" and the like, "" for no TLS.
func versionName(version uint16) string {
	if version == 0 {
		return ""
	}
	return strings.TrimPrefix(tls.VersionName(version), "TLS ")
}

// groupName returns the name of a key-exchange group as operators write it, "" for none.
func groupName(id tls.CurveID) string {
	switch id {
	case 0:
		return ""
	case tls.CurveP256:
		return "P-256"
	case tls.CurveP384:
		return "P-384"
	case tls.CurveP521:
		return "P-521"
	case tls.X25519, tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024:
		return id.String()
	}
	return id.String() // a number, for a group that is younger than this code
}

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
	if cause := errors.Unwrap(err); cause != nil && !strings.Contains(text, cause.Error()) {
		text += ": " + cause.Error()
	}
	return text
}
