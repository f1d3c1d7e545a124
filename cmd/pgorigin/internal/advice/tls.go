package advice

import (
	"crypto/tls"
	"strings"
)

// VersionName returns "1.3" and the like. It is empty for version 0.
func VersionName(version uint16) string {
	if version == 0 {
		return ""
	}
	return strings.TrimPrefix(tls.VersionName(version), "TLS ")
}

// PeerName returns the name that was verified. TLS does not tell it if it was an IP address. Then PeerName
// returns the subject of the certificate, or its first address if it has no subject.
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
