// Package alert reads the TLS alerts that a peer sends. crypto/tls hides them in its errors.
package alert

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
)

// Alerts of RFC 8446, section 6, that pgorigin tells apart.
const (
	UnexpectedMessage      = 10
	HandshakeFailure       = 40
	BadCertificate         = 42 // to CertificateUnknown: about the certificate of the receiver
	UnsupportedCertificate = 43
	CertificateRevoked     = 44
	CertificateExpired     = 45
	CertificateUnknown     = 46
	IllegalParameter       = 47
	UnknownCA              = 48
	AccessDenied           = 49
	DecodeError            = 50
	ProtocolVersion        = 70
	InsufficientSecurity   = 71
	UnrecognizedName       = 112
	CertificateRequired    = 116
	NoProtocol             = 120
)

// Number returns the alert that the peer sent. The error of crypto/tls is a *net.OpError around an unexported
// type, which is not tls.AlertError, so only its kind can be asked for.
func Number(err error) (number uint8, ok bool) {
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

// Name names an alert for people.
func Name(number uint8) string {
	return fmt.Sprintf("TLS alert %d (%s)", number, strings.TrimPrefix(tls.AlertError(number).Error(), "tls: "))
}
