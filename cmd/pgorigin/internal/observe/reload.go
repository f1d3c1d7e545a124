package observe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

const (
	repeatReloadError = time.Hour // until an unchanged problem is logged again
	maxFingerprints   = 8         // in one field of a log line
)

// reloadState is what is wrong with the certificate files. The log says it once, and /readyz?verbose always.
type reloadState struct {
	mu      sync.Mutex
	problem string    // empty: the files are in order
	since   time.Time // of the first failure in a row
	logged  time.Time
}

// requested makes the next failure due for a line, even if the problem is an old one.
func (r *reloadState) requested() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logged = time.Time{}
}

// failed notes a problem and reports whether to log it.
func (r *reloadState) failed(problem string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem == "" {
		r.since = now
	}
	if r.problem == problem && now.Sub(r.logged) < repeatReloadError {
		return false
	}
	r.problem, r.logged = problem, now
	return true
}

// succeeded notes that the files are in order, and reports whether they were not.
func (r *reloadState) succeeded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	failing := r.problem != ""
	r.problem = ""
	return failing
}

// note is for /readyz?verbose. It is empty if the files are in order.
func (r *reloadState) note() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem == "" {
		return ""
	}
	return fmt.Sprintf("reload failed, the old certificates stay in force since %s: %s",
		r.since.UTC().Format(time.RFC3339), r.problem)
}

// Loaded counts what dialer has read at the start, and checks its certificates from now on.
func (o *Observer) Loaded(dialer *tlsorigin.Dialer) {
	o.expiry.own, o.expiry.lists = dialer.Certificates, dialer.CRLNextUpdate
	roots, client := dialer.NotAfter()
	o.countExpiry(roots, client, dialer.CRLNextUpdate())
	o.metrics.Loaded(o.origin, time.Now())
}

// ReloadRequested makes the next failed reload log a line, even if its problem is an old one.
func (o *Observer) ReloadRequested() { o.reloads.requested() }

// countExpiry sets when the configured certificates and revocation lists end. Zero means that there is none.
func (o *Observer) countExpiry(roots, client, lists time.Time) {
	for role, end := range map[string]time.Time{
		health.RoleCA: roots, health.RoleClient: client, health.RoleCRL: lists,
	} {
		if !end.IsZero() {
			o.metrics.CertificateNotAfter(o.origin, role, end)
		}
	}
}

// reloaded is a tlsorigin.Trace.Reloaded.
func (o *Observer) reloaded(found tlsorigin.Reloaded, err error) {
	now := time.Now()
	origin := zap.String("origin", o.origin)
	switch {
	case err != nil:
		result, message := health.ReloadFailed, "reload failed, the old certificates stay in force"
		if errors.Is(err, configfile.ErrStalled) {
			result, message = health.ReloadStalled, "files stalled, the old certificates stay in force"
		}
		o.metrics.Reloaded(o.origin, result, now)
		problem := o.reloadProblem(err)
		if o.reloads.failed(problem, now) {
			o.record.Reloaded(result, problem)
			o.log.Error(message, origin, zap.Strings("files", found.Files), Text("error", problem))
		}
	case found.Changed:
		o.metrics.Reloaded(o.origin, health.ReloadOK, now)
		o.reloads.succeeded()
		o.record.Reloaded(health.ReloadOK, reloadText(found))
		o.countExpiry(found.RootsNotAfter, found.ClientNotAfter, found.CRLNextUpdate)
		o.log.Info("reloaded", append([]zap.Field{origin}, reloadFields(found)...)...)
		for _, warning := range found.Warnings {
			o.log.Warn("configuration warning", origin, Text("warning", advice.Warning(o.settings, warning)))
		}
	default:
		o.metrics.Reloaded(o.origin, health.ReloadUnchanged, now)
		if o.reloads.succeeded() {
			o.record.Reloaded(health.ReloadOK, "the files hold what is in force again")
			o.log.Info("the certificate files are in order again", origin)
		}
	}
	o.CheckExpiry(now)
}

// reloadProblem returns the problems in err in one line, with the names of variables.
func (o *Observer) reloadProblem(err error) string {
	var lines []string
	for _, p := range o.settings.DialerProblems(err, nil) {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "; ")
}

// reloadText says in one line what a reload has changed.
func reloadText(found tlsorigin.Reloaded) string {
	texts := []string{"read " + strings.Join(found.Files, ", ")}
	if added, removed := len(found.RootsAdded), len(found.RootsRemoved); added+removed > 0 {
		texts = append(texts, fmt.Sprintf("CA certificates: %d new, %d gone", added, removed))
	}
	if found.Client != "" {
		texts = append(texts, "client certificate is sha256 "+found.Client)
	}
	return safetext.Printable(strings.Join(texts, "; "))
}

func reloadFields(found tlsorigin.Reloaded) []zap.Field {
	fields := []zap.Field{
		zap.Strings("files", found.Files),
		fingerprints("ca_added", found.RootsAdded), fingerprints("ca_removed", found.RootsRemoved),
		Text("client", found.Client),
	}
	if !found.RootsNotAfter.IsZero() {
		fields = append(fields, moment("ca_not_after", found.RootsNotAfter))
	}
	if !found.ClientNotAfter.IsZero() {
		fields = append(fields, moment("client_not_after", found.ClientNotAfter))
	}
	return fields
}

// fingerprints is a field with the first maxFingerprints sums. Without sums it makes no field.
func fingerprints(key string, sums []string) zap.Field {
	switch {
	case len(sums) == 0:
		return zap.Skip()
	case len(sums) > maxFingerprints:
		more := fmt.Sprintf("and %d more", len(sums)-maxFingerprints)
		sums = append(slices.Clone(sums[:maxFingerprints]), more)
	}
	return zap.Strings(key, sums)
}
