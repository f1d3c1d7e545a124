package advice

import (
	"crypto/x509"
	"time"

	"go.uber.org/zap/zapcore"
)

// When a certificate is about to expire: with so much time left, or with such a part of its life left if that is shorter.
// Certificates that live for hours would else be in the log for all of their life.
const (
	expiresSoon, expiresSoonPart = 14 * 24 * time.Hour, 4
	expiresNow, expiresNowPart   = 3 * 24 * time.Hour, 16
)

// ExpiryLevel returns how loudly to speak of a certificate at now; ok is false if it is none that expires soon.
func ExpiryLevel(cert *x509.Certificate, now time.Time) (level zapcore.Level, ok bool) {
	left, life := cert.NotAfter.Sub(now), cert.NotAfter.Sub(cert.NotBefore)
	switch {
	case left < min(expiresNow, life/expiresNowPart):
		return zapcore.ErrorLevel, true
	case left < min(expiresSoon, life/expiresSoonPart):
		return zapcore.WarnLevel, true
	}
	return zapcore.InfoLevel, false
}
