package tlsorigin

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// Reloaded says what a look at the configured files found.
type Reloaded struct {
	// Changed says that a new state is in force. Without it, and without an error, the files hold what is in force.
	Changed bool

	// Files are the paths whose content is not what it was in the state that was in force.
	Files []string

	// RootsAdded, RootsRemoved and Client are fingerprints: of roots that are trusted from now on, of those that no
	// longer are, and of the client certificate, if it is another one than before.
	RootsAdded, RootsRemoved []string
	Client                   string

	// RootsNotAfter and ClientNotAfter are what Dialer.NotAfter returns for the state that is in force now.
	RootsNotAfter, ClientNotAfter time.Time
	CRLNextUpdate                 time.Time // what Dialer.CRLNextUpdate returns now

	// Warnings are those of Dialer.Warnings that are new.
	Warnings []Warning
}

func fingerprints(certs []*x509.Certificate) []string {
	var sums []string
	for _, cert := range certs {
		sums = append(sums, Fingerprint(cert))
	}
	return sums
}

// Reload reads the configured files again and, if their content is another one than that in force and passes every
// check of NewDialer, puts all of it in force at once: every Dial that starts from then on uses it. Running
// connections, and what the Dialer has learned about the upstream, stay.
//
// Files that do not answer within configfile.Timeout are reported as configfile.ErrStalled; the state in
// force stays. Files that are wrong are looked at again for two seconds before they are reported: they may be
// half written. Then the error joins a *ConfigError for each problem, and the state in force stays. As long
// as the files do not change, the same error comes back at once. When ctx ends earlier, the error is
// context.Cause(ctx), and nothing is reported.
//
// System roots and what Config holds as text are not read again.
func (d *Dialer) Reload(ctx context.Context) (Reloaded, error) {
	if err := d.reloads.take(ctx); err != nil {
		return Reloaded{}, err
	}
	defer d.reloads.giveBack()
	found, _, err := d.settle(ctx)
	if err == nil || ctx.Err() == nil {
		d.reloads.report(found, err)
	}
	return found, err
}

// Watch calls Reload every interval until ctx is done. Zero means not at all. What comes of it is told to
// Trace.Reloaded.
//
// Contents are compared, never times or inodes: mounted Secrets change by a symbolic link, and other files are
// rewritten within one tick of the clock.
func (d *Dialer) Watch(ctx context.Context, interval time.Duration) {
	if interval <= 0 {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_, _ = d.Reload(ctx) // Trace.Reloaded hears of it
		}
	}
}

// Current reports whether conn was verified under the state that is in force now. A connection that was made ahead of
// its use must not be used otherwise.
func (d *Dialer) Current(conn *Conn) bool { return conn.generation == d.state.Load().generation }

// Certificates returns the configured roots, none for the system's, and the chain of the client certificate, as far as
// they are configured. They must not be modified.
func (d *Dialer) Certificates() (roots, client []*x509.Certificate) {
	t := d.state.Load()
	return t.policy.Roots(), t.chain
}

// rotated returns the state with which a Dial that failed should try again: the one in force, if that is another than
// the one that it used, once the files have been looked at. Nil means that there is nothing new to try.
func (d *Dialer) rotated(ctx context.Context, failure error, used *tlsState, end time.Time) *tlsState {
	if len(d.reloads.cfg.files()) == 0 || !rotationExplains(failure) {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if d.state.Load() == used {
		d.lookAfter(ctx, time.Now(), used)
	}
	next := d.state.Load()
	if next == used || ctx.Err() != nil {
		return nil
	}
	return next
}

// freeLook is how many bytes of files a failure may make us read at once, and lookRate how many a second. A
// peer can make connections fail as often as it likes, and revocation lists can be long.
const (
	freeLook = 1 << 20
	lookRate = 4 << 20
)

// lookAfter looks at the files because of a failure, unless somebody else has done so since.
func (d *Dialer) lookAfter(ctx context.Context, failed time.Time, used *tlsState) {
	r := d.reloads
	if r.take(ctx) != nil {
		return
	}
	defer r.giveBack()
	tooSoon := r.size > freeLook && time.Since(r.looked) < time.Duration(r.size/lookRate)*time.Second
	if d.state.Load() != used || r.looked.After(failed) || tooSoon {
		return
	}
	if found, news, err := d.settle(ctx); news {
		r.report(found, err)
	}
}

// glanceTime is far above what reading a few files takes.
const glanceTime = 250 * time.Millisecond

// glance looks at the files once, because an established connection learned that the upstream does not accept
// the client certificate. Files that are wrong are left to the next look. It returns within glanceTime,
// because the caller may be an event loop; usually the next connection finds the new files in force.
func (d *Dialer) glance() {
	r := d.reloads
	select {
	case <-r.turn:
	default:
		return // somebody is looking
	}
	looked := make(chan struct{})
	looking := d.background.start(func(ctx context.Context) {
		defer close(looked)
		defer r.giveBack()
		wasWrong := r.refused != nil || r.stalled
		found, err := d.look(ctx)
		switch {
		case found.Changed, err == nil && wasWrong:
			r.report(found, err)
		case r.refused == nil:
			r.since = time.Time{} // how long they stay wrong is not watched
		}
	})
	if !looking {
		r.giveBack()
		return
	}
	timer := time.NewTimer(glanceTime)
	defer timer.Stop()
	select {
	case <-looked:
	case <-timer.C: // the files are slow; the look goes on without the caller
	}
}

// rotationExplains reports whether a failure of Dial could be cured by files that are newer than those in force.
func rotationExplains(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) {
		return false
	}
	explained := []Reason{
		ReasonCertUnknownAuthority, ReasonCertExpired, ReasonCertRevoked, ReasonClientCertRejected,
		ReasonCertInvalid, // also stands for a revocation list that has run out
	}
	isExplained := func(kind Reason) bool { return slices.Contains(explained, kind) }
	return slices.ContainsFunc(append([]*Error{failure}, failure.Others...), func(e *Error) bool {
		return isExplained(e.Kind) || slices.ContainsFunc(e.Also, isExplained)
	})
}
