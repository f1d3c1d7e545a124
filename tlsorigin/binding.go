package tlsorigin

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
)

// CanBind reports whether a login can be bound to the connection by tls-server-end-point (RFC 5929, section
// 4.1). The RFC has no hash for a certificate signed with Ed25519.
func (c *Conn) CanBind() bool {
	certificates := c.tls.ConnectionState().PeerCertificates
	return len(certificates) == 0 || certificates[0].SignatureAlgorithm != x509.PureEd25519
}

// ServerEndPoint returns the channel-binding data tls-server-end-point: the hash of the upstream's
// certificate. The hash function is that of its signature, and SHA-256 instead of a weaker one. An error
// means that there are no such data.
//
// Binding compares certificates. A server with a new certificate may still resume a session that it began
// under the old one. So ServerEndPoint ends resumption: all further handshakes with this server are whole.
func (c *Conn) ServerEndPoint() ([]byte, error) {
	c.ticket.disable()
	certificates := c.tls.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return nil, errors.New("the connection does not know the upstream's certificate")
	}
	leaf := certificates[0]
	var hash crypto.Hash
	switch leaf.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256,
		x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.DSAWithSHA256:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("no hash is defined for a certificate signed with %v", leaf.SignatureAlgorithm)
	}
	h := hash.New()
	h.Write(leaf.Raw)
	return h.Sum(nil), nil
}
