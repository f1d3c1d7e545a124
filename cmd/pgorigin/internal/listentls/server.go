package listentls

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"

	"github.com/pgorigin/pgorigin/pgwire"
)

// protocolName is the ALPN protocol of Postgres.
const protocolName = "postgresql"

// Server makes TLS connections of clients' connections.
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
	state := conn.ConnectionState()
	if direct && state.NegotiatedProtocol != protocolName { // as PostgreSQL
		const text = "the client began with TLS, and did not ask for the protocol " + protocolName + " (ALPN)"
		return nil, pgwire.HandshakeRefused(text, nil)
	}
	return &Conn{Conn: conn, wire: w, version: tls.VersionName(state.Version)}, nil
}

// explain makes a pgwire.Error of an alert. Other errors stay as they are. lastRead is the end of what the client
// has sent.
func explain(err error, lastRead *[plainAlert]byte) error {
	number, ok := alertNumber(err)
	if !ok {
		if number, ok = plainAlertNumber(lastRead); !ok {
			return err
		}
	}
	name := strings.TrimPrefix(tls.AlertError(number).Error(), "tls: ")
	alert := fmt.Sprintf("TLS alert %d (%s)", number, name)
	switch number {
	case alertBadCertificate, alertUnsupportedCertificate, alertCertificateRevoked, alertCertificateExpired,
		alertCertificateUnknown, alertUnknownCA:
		return pgwire.ListenerDistrusted(alert, err)
	}
	return pgwire.HandshakeRefused("the client refused it with "+alert, err)
}

// Alerts of RFC 8446, section 6, about the certificate of the receiver.
const (
	alertBadCertificate         = 42
	alertUnsupportedCertificate = 43
	alertCertificateRevoked     = 44
	alertCertificateExpired     = 45
	alertCertificateUnknown     = 46
	alertUnknownCA              = 48
)

// plainAlert is the size of an alert in plaintext, with its header. An encrypted one is longer.
const plainAlert = 7

// plainAlertNumber returns the alert that a record in plaintext carries. OpenSSL sends one where TLS 1.3 expects
// encryption: when it does not trust a certificate. crypto/tls cannot decrypt that.
func plainAlertNumber(record *[plainAlert]byte) (number uint8, ok bool) {
	const alert, version, length = 21, 3, 2
	ok = record[0] == alert && record[1] == version && record[3] == 0 && record[4] == length
	return record[6], ok
}

// alertNumber returns the alert that the client sent. crypto/tls hides it: the error is a *net.OpError around an
// unexported type, so only its kind can be asked for.
func alertNumber(err error) (number uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	value := reflect.ValueOf(op.Err)
	if value.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(value.Uint()), true
}
