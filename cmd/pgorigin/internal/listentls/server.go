package listentls

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin/alert"
)

// protocolName is the ALPN protocol of Postgres.
const protocolName = "postgresql"

// Server turns clients' connections into TLS connections.
type Server struct {
	config *tls.Config
}

// NewServer returns a server that asks for its certificate at each handshake.
func NewServer(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *Server {
	return &Server{config: &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{protocolName},
		GetCertificate: certificate,
	}}
}

// Start implements pgwire.Server.StartTLS. The caller sets the deadlines of client, which bound the handshake.
func (s *Server) Start(client net.Conn, direct bool) (net.Conn, error) {
	w := &wire{Conn: client, lastRead: new([plainAlert]byte)}
	conn := tls.Server(w, s.config)
	if err := conn.HandshakeContext(context.Background()); err != nil {
		return nil, explain(err, w.lastRead)
	}
	w.lastRead = nil
	if direct && conn.ConnectionState().NegotiatedProtocol != protocolName { // as PostgreSQL
		const text = "the client began with TLS, and did not ask for the protocol " + protocolName + " (ALPN)"
		return nil, pgwire.HandshakeRefused(text)
	}
	return &Conn{Conn: conn, wire: w}, nil
}

// explain makes a pgwire.Error of an alert. Other errors stay as they are. lastRead is the end of what the client
// has sent. The alert says more than err, which may be that crypto/tls could not decrypt it.
func explain(err error, lastRead *[plainAlert]byte) error {
	number, ok := alert.Number(err)
	if !ok {
		if number, ok = plainAlertNumber(lastRead); !ok {
			return err
		}
	}
	switch name := alert.Name(number); number {
	case alert.BadCertificate, alert.UnsupportedCertificate, alert.CertificateRevoked, alert.CertificateExpired,
		alert.CertificateUnknown, alert.UnknownCA:
		return pgwire.ListenerDistrusted(name)
	default:
		return pgwire.HandshakeRefused("the client refused it with " + name)
	}
}

// plainAlert is the size of an alert in plaintext, with its header. An encrypted one is longer.
const plainAlert = 7

// plainAlertNumber returns the alert that a record in plaintext carries. OpenSSL sends one where TLS 1.3 expects
// encryption: when it does not trust a certificate. crypto/tls cannot decrypt that.
func plainAlertNumber(record *[plainAlert]byte) (number uint8, ok bool) {
	const alertRecord, version, length = 21, 3, 2
	ok = record[0] == alertRecord && record[1] == version && record[3] == 0 && record[4] == length
	return record[6], ok
}
