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
	repeatReloadError = time.Hour // how soon an unchanged problem is logged again
	maxFingerprints   = 8         // in one field of a log line; a whole system bundle has more than a hundred
)

// reloadLog remembers what is wrong with the certificate files, so that the log says it once and probes can tell.
type reloadLog struct {
	mu      sync.Mutex
	problem string    // empty: nothing
	since   time.Time // of the first failure in a row
	logged  time.Time
}

// AskedFor makes the next failure worth a line even if it is an old one: somebody waits for an answer.
func (r *reloadLog) AskedFor() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logged = time.Time{}
}

// failed notes a problem and reports whether it has to be logged.
func (r *reloadLog) failed(problem string, now time.Time) bool {
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

// worked notes that the files are in order and reports whether they were not before.
func (r *reloadLog) worked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	failing := r.problem != ""
	r.problem = ""
	return failing
}

// Note is the line for /readyz?verbose.
func (r *reloadLog) Note() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem == "" {
		return ""
	}
	return fmt.Sprintf("reload failed, the old certificates stay in force since %s: %s", r.since.UTC().Format(time.RFC3339), r.problem)
}

// Loaded records what the files held at the start.
func (o *Observer) Loaded(dialer *tlsorigin.Dialer) {
	o.expiry.own, o.expiry.lists = dialer.Certificates, dialer.CRLNextUpdate
	o.certificates(dialer.NotAfter())
	o.lists(dialer.CRLNextUpdate())
	o.Metrics.Loaded(o.origin, time.Now())
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
		o.Metrics.Reloaded(o.origin, result, now)
		problem := o.reloadProblem(err)
		if o.Reloads.failed(problem, now) {
			o.Record.Reloaded(result, problem)
			o.Log.Error(message, origin, zap.Strings("files", found.Files), Text("error", problem))
		}
	case found.Changed:
		o.Metrics.Reloaded(o.origin, health.ReloadOK, now)
		o.Reloads.worked()
		o.Record.Reloaded(health.ReloadOK, reloadText(found))
		o.certificates(found.RootsNotAfter, found.ClientNotAfter)
		o.lists(found.CRLNextUpdate)
		o.Log.Info("reloaded", append([]zap.Field{origin}, reloadFields(found)...)...)
		for _, warning := range found.Warnings {
			o.Log.Warn("doubtful configuration", origin, Text("doubt", advice.Warning(o.settings, warning)))
		}
	default:
		o.Metrics.Reloaded(o.origin, health.ReloadUnchanged, now)
		if o.Reloads.worked() {
			o.Record.Reloaded(health.ReloadOK, "the files hold what is in force again")
			o.Log.Info("the certificate files are in order again", origin)
		}
	}
	o.ExpiringOwn(now)
}

// reloadProblem puts the problems in one line, with the names of variables.
func (o *Observer) reloadProblem(err error) string {
	var lines []string
	for _, p := range o.settings.DialerProblems(err, nil) {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "; ")
}

// reloadText says in one line what is in force from now on.
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
		fields = append(fields, zap.Time("ca_not_after", found.RootsNotAfter))
	}
	if !found.ClientNotAfter.IsZero() {
		fields = append(fields, zap.Time("client_not_after", found.ClientNotAfter))
	}
	return fields
}

// fingerprints is a field with the first of many; none make no field.
func fingerprints(key string, sums []string) zap.Field {
	switch {
	case len(sums) == 0:
		return zap.Skip()
	case len(sums) > maxFingerprints:
		sums = append(slices.Clone(sums[:maxFingerprints]), fmt.Sprintf("and %d more", len(sums)-maxFingerprints))
	}
	return zap.Strings(key, sums)
}
