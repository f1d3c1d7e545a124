package observe

import (
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/health"
)

// WatchListener watches the certificate that clients with TLS see, from now on. The result is for a health.Status:
// what is wrong with it, or with newer files.
func (o *Observer) WatchListener(pair *keypair.Pair) (note func() string) {
	o.expiry.shown = pair.Leaf
	o.metrics.CertificateNotAfter(o.origin, health.RoleListener, pair.Leaf().NotAfter)
	return func() string {
		if _, err := pair.State(); err != nil {
			return safetext.Printable(err.Error())
		}
		return ""
	}
}

// ListenerReloaded is called when the files of the listener's certificate have changed. After an error the old
// certificate stays in force.
func (o *Observer) ListenerReloaded(pair *keypair.Pair, err error) {
	now, origin, role := time.Now(), zap.String("origin", o.origin), zap.String("role", health.RoleListener)
	if err != nil {
		o.metrics.Reloaded(o.origin, health.ReloadFailed, now)
		problem := safetext.Printable(err.Error())
		o.record.Reloaded(health.ReloadFailed, problem)
		o.log.Error("reload failed, the old certificates stay in force", origin, role, Text("error", problem))
		return
	}
	leaf := pair.Leaf()
	o.metrics.Reloaded(o.origin, health.ReloadOK, now)
	o.metrics.CertificateNotAfter(o.origin, health.RoleListener, leaf.NotAfter)
	o.record.Reloaded(health.ReloadOK, "read the certificate of the listener")
	o.log.Info("reloaded", origin, role, moment("not_after", leaf.NotAfter))
	o.CheckExpiry(now)
}
