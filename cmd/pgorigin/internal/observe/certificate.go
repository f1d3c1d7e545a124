package observe

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// certificateFields describe the upstream's certificate and every further reason for which it was refused;
// nothing for an error that is not about it. Its texts are cleaned already.
func certificateFields(err error) []zap.Field {
	var failure *tlsorigin.Error
	if !errors.As(err, &failure) || failure.Peer == nil {
		return nil
	}
	peer := failure.Peer
	fields := []zap.Field{
		Text("expected_name", failure.ExpectedName),
		zap.String("cert_subject", peer.Subject), zap.String("cert_issuer", peer.Issuer),
		zap.Strings("cert_names", peer.Names),
		zap.Time("cert_not_before", peer.NotBefore), zap.Time("cert_not_after", peer.NotAfter),
		zap.String("cert_serial", peer.Serial), zap.String("cert_sha256", peer.SHA256),
	}
	var also []string
	for _, reason := range failure.Also {
		also = append(also, string(reason))
	}
	return append(fields, zap.Strings("also", also))
}

// lists records when the first revocation list runs out; a zero time is for none.
func (o *Observer) lists(nextUpdate time.Time) {
	if !nextUpdate.IsZero() {
		o.Metrics.CertificateNotAfter(o.origin, health.RoleCRL, nextUpdate)
	}
}

// certificateProblems counts every reason for which the upstream's certificate was refused.
func (o *Observer) certificateProblems(failure *tlsorigin.Error) {
	if failure.Peer == nil {
		return
	}
	for _, reason := range append([]tlsorigin.Reason{failure.Kind}, failure.Also...) {
		o.Metrics.CertificateProblem(o.origin, string(reason))
	}
}
