package tlsorigin

import (
	"crypto"
	"crypto/x509"
)

// ServerEndPoint returns the channel-binding data tls-server-end-point (RFC 5929, section 4.1): the hash of the
// upstream's certificate, by the hash function of its signature but never one that is weaker than SHA-256. It is nil for
// a signature that has no hash function of its own, such as Ed25519, for which the RFC defines nothing.
//
// To bind means to compare certificates, and a server that has got a new one may still resume what was begun under the
// old. So whoever asks once has only whole handshakes with that server from then on.
func (c *Conn) ServerEndPoint() []byte {
	c.ticket.bar()
	leaf := c.tls.ConnectionState().PeerCertificates[0]
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
		return nil
	}
	h := hash.New()
	h.Write(leaf.Raw)
	return h.Sum(nil)
}
