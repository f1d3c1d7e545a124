package tlsorigin

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// Reloaded says what a look at the configured files found.
type Reloaded struct {
	// Changed says that a new state is in force. If it is false and there is no error, the files hold what is
	// in force.
	Changed bool

	// Files are the paths whose content differs from that of the state before.
	Files []string

	// RootsAdded and RootsRemoved are the fingerprints of roots that are trusted from now on, and of those
	// that no longer are. Client is the fingerprint of the client certificate, if it is new.
	RootsAdded, RootsRemoved []string
	Client                   string

	// RootsNotAfter and ClientNotAfter are what Dialer.NotAfter returns now.
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

// Reload reads the configured files again. If their content is new and passes every check of NewDialer, all
// of it is in force at once: every Dial that starts from then on uses it. Running connections stay, and so
// does what the Dialer has learned about the upstream.
//
// On failure the state in force stays. Files that do not answer within configfile.Timeout are reported as
// configfile.ErrStalled. Files that are wrong may be half written, so Reload reads them for two seconds
// before it reports them. Then the error joins a *ConfigError for each problem. As long as the files do not
// change, the same error comes back at once. If ctx ends earlier, the error is context.Cause(ctx), and the
// hook is not called.
//
// System roots and what Config holds as text are not read again.
func (d *Dialer) Reload(ctx context.Context) (Reloaded, error) {
	if err := d.reloads.lock(ctx); err != nil {
		return Reloaded{}, err
	}
	defer d.reloads.unlock()
	found, _, err := d.reloadSettled(ctx)
	if err == nil || ctx.Err() == nil {
		d.reloads.report(found, err)
	}
	return found, err
}

// Watch calls Reload every interval until ctx is done. Zero means never. Trace.Reloaded gets the results.
//
// Reload compares contents, not times or inodes: mounted Secrets change by a symbolic link, and other files
// are rewritten within one tick of the clock.
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
			_, _ = d.Reload(ctx) // Trace.Reloaded gets the result
		}
	}
}

// Current reports whether conn was verified under the state that is in force now. Otherwise a connection that
// was made ahead of its use must not be used.
func (d *Dialer) Current(conn *Conn) bool { return conn.generation == d.state.Load().generation }

// Certificates returns the configured roots and the chain of the client certificate. Each is nil if it is not
// configured. They must not be modified.
func (d *Dialer) Certificates() (roots, client []*x509.Certificate) {
	t := d.state.Load()
	return t.policy.Roots(), t.chain
}

// newerState returns the state with which a failed Dial should try again: the one in force after the files
// have been read, if it is not the one used. Nil means that there is nothing new to try.
func (d *Dialer) newerState(ctx context.Context, failure error, used *tlsState, end time.Time) *tlsState {
	if len(d.reloads.cfg.files()) == 0 || !rotationExplains(failure) {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if d.state.Load() == used {
		d.reloadAfter(ctx, time.Now(), used)
	}
	next := d.state.Load()
	if next == used || ctx.Err() != nil {
		return nil
	}
	return next
}

// A failed Dial may read freeRead bytes of files at once, and readRate a second. A peer can make connections
// fail as often as it likes, and revocation lists can be long.
const (
	freeRead = 1 << 20
	readRate = 4 << 20
)

// reloadAfter reads the files because of a failure, unless another goroutine has done so since.
func (d *Dialer) reloadAfter(ctx context.Context, failed time.Time, used *tlsState) {
	r := d.reloads
	if r.lock(ctx) != nil {
		return
	}
	defer r.unlock()
	tooSoon := r.size > freeRead && time.Since(r.began) < time.Duration(r.size/readRate)*time.Second
	if d.state.Load() != used || r.began.After(failed) || tooSoon {
		return
	}
	if found, news, err := d.reloadSettled(ctx); news {
		r.report(found, err)
	}
}

// briefly is far above what reading a few files takes.
const briefly = 250 * time.Millisecond

// reloadBriefly reads the files once, because the upstream rejected the client certificate on an established
// connection. Files that are wrong are left to the next reload. reloadBriefly returns within briefly, because
// the caller may be an event loop. As a rule the next connection finds the new files in force.
func (d *Dialer) reloadBriefly() {
	r := d.reloads
	select {
	case <-r.token:
	default:
		return // another goroutine reads them
	}
	done := make(chan struct{})
	started := d.background.Start(func(ctx context.Context) {
		defer close(done)
		defer r.unlock()
		wasWrong := r.refused != nil || r.stalled
		found, err := d.reloadOnce(ctx)
		switch {
		case found.Changed, err == nil && wasWrong:
			r.report(found, err)
		case r.refused == nil:
			r.since = time.Time{} // nobody watches how long they stay wrong
		}
	})
	if !started {
		r.unlock()
		return
	}
	timer := time.NewTimer(briefly)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C: // the files are slow; reading goes on without the caller
	}
}

// rotationExplains reports whether newer files could cure a failure of Dial.
func rotationExplains(err error) bool {
	var failure *Error
	if !errors.As(err, &failure) {
		return false
	}
	explained := []Reason{
		ReasonCertUnknownAuthority, ReasonChainIncomplete, ReasonCertExpired, ReasonCertInvalid,
		ReasonCertRevoked, ReasonCRLMissing, ReasonCRLStale, ReasonClientCertRejected,
	}
	isExplained := func(kind Reason) bool { return slices.Contains(explained, kind) }
	return slices.ContainsFunc(append([]*Error{failure}, failure.Others...), func(e *Error) bool {
		return isExplained(e.Kind) || slices.ContainsFunc(e.Also, isExplained)
	})
}

// Certificate and key are often written one after the other, and slowly. Files that are wrong are read again
// every settlePeriod. They are reported when they have been wrong for settleTime.
const (
	settlePeriod = 200 * time.Millisecond
	settleTime   = 10 * settlePeriod
)

var errUnsteady = errors.New("the configured files keep changing while they are read")

// reloads is the part of a Dialer that reads its files.
type reloads struct {
	token  chan struct{} // a lock that can be waited for under a context
	cfg    *Config
	reader configfile.Reader[reading]
	read   readFunc               // readFile, except in tests
	path   atomic.Pointer[string] // of the file that is being read, or was read last
	load   func(snapshot) (*tlsState, []error)
	report func(Reloaded, error) // never nil

	// The lock guards these.
	began   time.Time // of the last reading
	size    int       // bytes that it read
	since   time.Time // when files were first seen wrong; zero means that they are not
	refused snapshot  // what was reported as wrong; nil means nothing
	problem error     // with refused
	stalled bool      // the last reading did not end
}

// reading is what was read.
type reading struct {
	files  snapshot
	steady bool // two readings agree
}

func newReloads(cfg *Config, load func(snapshot) (*tlsState, []error)) *reloads {
	r := &reloads{
		token: make(chan struct{}, 1), cfg: cfg, read: readFile, load: load,
		report: func(Reloaded, error) {},
	}
	if cfg.Trace != nil && cfg.Trace.Reloaded != nil {
		r.report = cfg.Trace.Reloaded
	}
	r.token <- struct{}{}
	return r
}

// readFiles reads all files, and waits for them no longer than configfile.Timeout: a file may be on a mount
// whose server is away. The error of a file that does not answer is a *ConfigError.
func (r *reloads) readFiles(ctx context.Context, earlier snapshot) (reading, error) {
	got, err := r.reader.Do(ctx, func() (got reading) {
		got.files, got.steady = steadySnapshot(r.cfg.files(), earlier,
			func(path string) ([]byte, fs.FileMode, error) {
				r.path.Store(&path)
				return r.read(path)
			})
		return got
	})
	if path := r.path.Load(); path != nil && errors.Is(err, configfile.ErrStalled) {
		err = unusable(r.cfg.fieldOf(*path), *path, err)
	}
	return got, err
}

// first reads the files at the start.
func (r *reloads) first() (*tlsState, []error) {
	got, err := r.readFiles(context.Background(), nil)
	if err != nil {
		return nil, []error{err}
	}
	return r.load(got.files)
}

// reloadSettled reads the files until they are in order, or have been wrong for settleTime. If news is false,
// the result is that of the last report, or ctx has ended.
func (d *Dialer) reloadSettled(ctx context.Context) (found Reloaded, news bool, err error) {
	r := d.reloads
	for {
		wasRefused, wasStalled := r.refused != nil, r.stalled
		found, err = d.reloadOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return Reloaded{}, false, context.Cause(ctx)
		case err == nil:
			return found, found.Changed || wasRefused || wasStalled, nil
		case r.stalled:
			return found, !wasStalled, err
		case r.refused != nil:
			return found, !wasRefused || wasStalled, err
		}
		wait := time.NewTimer(min(settlePeriod, settleTime-time.Since(r.since)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return Reloaded{}, false, context.Cause(ctx)
		}
	}
}

// reloadOnce compares the files with the state in force. If they hold another valid state, it replaces the
// one in force as a whole. With an error, the files are stalled or wrong. If r.refused is nil then, they may
// be half written.
func (d *Dialer) reloadOnce(ctx context.Context) (Reloaded, error) {
	r, current := d.reloads, d.state.Load()
	r.began = time.Now()
	found := Reloaded{
		RootsNotAfter: current.rootsNotAfter, ClientNotAfter: current.clientNotAfter,
		CRLNextUpdate: current.policy.CRLs.NextUpdate(),
	}
	got, err := r.readFiles(ctx, current.files)
	var stalled *ConfigError
	if errors.As(err, &stalled) {
		r.stalled, found.Files = true, []string{stalled.Value}
	}
	if err != nil {
		return found, err
	}
	r.stalled = false
	paths, files := r.cfg.files(), got.files
	r.size = files.size()
	found.Files = current.files.changed(paths, files)
	switch {
	case len(found.Files) == 0:
		r.accept()
		return found, nil
	case r.refused != nil && len(r.refused.changed(paths, files)) == 0:
		return found, r.problem
	case r.refused != nil: // if this is a new problem, it gets its own time
		r.accept()
	}
	next, problems := r.load(files)
	err = errors.Join(problems...)
	if !got.steady {
		err = errUnsteady
	}
	if err != nil {
		r.reject(files, err)
		return found, err
	}
	next.generation = current.generation + 1
	d.state.Store(next)
	d.addresses.reloaded()
	r.accept()
	found.describe(current, next)
	return found, nil
}

// describe says how next differs from current.
func (f *Reloaded) describe(current, next *tlsState) {
	f.Changed = true
	f.RootsNotAfter, f.ClientNotAfter = next.rootsNotAfter, next.clientNotAfter
	f.CRLNextUpdate = next.policy.CRLs.NextUpdate()
	before, after := fingerprints(current.policy.Roots()), fingerprints(next.policy.Roots())
	f.RootsAdded, f.RootsRemoved = without(after, before), without(before, after)
	if next.chain != nil && (current.chain == nil || !next.chain[0].Equal(current.chain[0])) {
		f.Client = Fingerprint(next.chain[0])
	}
	f.Warnings = without(next.warnings, current.warnings)
}

// without returns those of all that are not among others.
func without[T comparable](all, others []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool { return slices.Contains(others, one) })
}

// lock waits until no other goroutine reads the files.
func (r *reloads) lock(ctx context.Context) error {
	select {
	case <-r.token:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *reloads) unlock() { r.token <- struct{}{} }

// accept notes that the files are in order.
func (r *reloads) accept() { r.since, r.refused, r.problem = time.Time{}, nil, nil }

// reject notes that files are wrong. It refuses them if they have been wrong for settleTime.
func (r *reloads) reject(files snapshot, problem error) {
	if r.since.IsZero() {
		r.since = time.Now()
	}
	if time.Since(r.since) >= settleTime {
		r.refused, r.problem = files.withoutContent(), problem
	}
}
