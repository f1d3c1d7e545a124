package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

const (
	minReloadInterval = 100 * time.Millisecond
	repeatReloadError = time.Hour // how soon an unchanged problem is logged again
	maxFingerprints   = 8         // in one field of a log line; a whole system bundle has more than a hundred
)

// reloadInterval is a period, or zero for never.
type reloadInterval time.Duration

// Decode reads a Go duration, 0 or off.
func (r *reloadInterval) Decode(value string) error {
	value = strings.TrimSpace(value)
	if value == "0" || strings.EqualFold(value, "off") {
		*r = 0
		return nil
	}
	var p period
	switch err := p.Decode(value); {
	case err != nil:
		return errors.New("expected a duration with its unit, such as 30s, or 0 to reload at SIGHUP only")
	case time.Duration(p) < minReloadInterval:
		return fmt.Errorf("expected at least %v, or 0 to reload at SIGHUP only", minReloadInterval)
	}
	*r = reloadInterval(p)
	return nil
}

func (r reloadInterval) String() string { return time.Duration(r).String() }

// watchFiles keeps the certificates of each origin current until ctx ends: at its interval, and when SIGHUP comes. A process
// that drains ignores the signal, but goes on to look at the interval, because cancel requests are still dialled.
func (in *instance) watchFiles(ctx context.Context) {
	for _, o := range in.origins {
		in.listening.Go(func() { o.dialer.Watch(ctx, time.Duration(o.settings.TLS.ReloadInterval)) })
	}
	in.listening.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-in.hangups:
			}
			if in.draining.Load() {
				in.log.Info("reload ignored, draining")
				continue
			}
			in.notifyReloading()
			var reloads sync.WaitGroup // at once: a slow volume is a matter of its own origin
			for _, o := range in.origins {
				reloads.Go(func() { o.reload(ctx) })
			}
			reloads.Wait()
			in.notify(notifyReady)
		}
	})
}

// reload looks at the files because somebody asked for it.
func (o *origin) reload(ctx context.Context) {
	o.observer.reloads.askedFor()
	found, err := o.dialer.Reload(ctx)
	if err == nil && !found.Changed {
		o.observer.log.Info("nothing to reload", zap.String("origin", o.settings.name))
	}
}

// reloadLog remembers what is wrong with the certificate files, so that the log says it once and probes can tell.
type reloadLog struct {
	mu      sync.Mutex
	problem string    // empty: nothing
	since   time.Time // of the first failure in a row
	logged  time.Time
}

// askedFor makes the next failure worth a line even if it is an old one: somebody waits for an answer.
func (r *reloadLog) askedFor() {
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

// note is the line for /readyz?verbose.
func (r *reloadLog) note() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem == "" {
		return ""
	}
	return fmt.Sprintf("reload failed, the old certificates stay in force since %s: %s", r.since.UTC().Format(time.RFC3339), r.problem)
}

// loaded records what the files held at the start.
func (o *observer) loaded(dialer *tlsorigin.Dialer) {
	o.expiry.own, o.expiry.lists = dialer.Certificates, dialer.CRLNextUpdate
	o.certificates(dialer.NotAfter())
	o.lists(dialer.CRLNextUpdate())
	o.metrics.Loaded(o.origin, time.Now())
}

// reloaded is a tlsorigin.Trace.Reloaded.
func (o *observer) reloaded(found tlsorigin.Reloaded, err error) {
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
			o.log.Error(message, origin, zap.Strings("files", found.Files), text("error", problem))
		}
	case found.Changed:
		o.metrics.Reloaded(o.origin, health.ReloadOK, now)
		o.reloads.worked()
		o.record.Reloaded(health.ReloadOK, reloadText(found))
		o.certificates(found.RootsNotAfter, found.ClientNotAfter)
		o.lists(found.CRLNextUpdate)
		o.log.Info("reloaded", append([]zap.Field{origin}, reloadFields(found)...)...)
		for _, warning := range found.Warnings {
			o.log.Warn("doubtful configuration", origin, text("doubt", o.settings.warningText(warning)))
		}
	default:
		o.metrics.Reloaded(o.origin, health.ReloadUnchanged, now)
		if o.reloads.worked() {
			o.record.Reloaded(health.ReloadOK, "the files hold what is in force again")
			o.log.Info("the certificate files are in order again", origin)
		}
	}
	o.expiringOwn(now)
}

// reloadProblem puts the problems in one line, with the names of variables.
func (o *observer) reloadProblem(err error) string {
	var lines []string
	for _, p := range o.settings.dialerProblems(err, nil) {
		lines = append(lines, o.settings.renamed(p).String())
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
	return printable(strings.Join(texts, "; "))
}

func reloadFields(found tlsorigin.Reloaded) []zap.Field {
	fields := []zap.Field{
		zap.Strings("files", found.Files),
		fingerprints("ca_added", found.RootsAdded), fingerprints("ca_removed", found.RootsRemoved),
		text("client", found.Client),
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
