package tlsorigin

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// Certificate and key are often written one after the other, and slowly. Files that are wrong are looked at again every
// settlePeriod, and only called wrong when they have been so for settleTime.
const (
	settlePeriod = 200 * time.Millisecond
	settleTime   = 10 * settlePeriod
)

var errUnsteady = errors.New("the configured files keep changing while they are read")

// reloads is the part of a Dialer that looks at its files.
type reloads struct {
	turn   chan struct{} // holds one token, which whoever looks takes; a channel, because it is waited for under a context
	cfg    *Config
	reader configfile.Reader[reading]
	read   readFunc               // readFile
	path   atomic.Pointer[string] // the one that is being read, or was read last
	load   func(snapshot) (*tlsState, []error)
	report func(Reloaded, error) // never nil

	// What follows belongs to who has the token.
	looked  time.Time // when the last look began
	size    int       // bytes that it read
	since   time.Time // when files were first seen wrong; zero: they are not
	refused snapshot  // what was reported as wrong, nil: nothing
	problem error     // with refused
	stalled bool      // the last look did not end
}

// reading is what a look reads.
type reading struct {
	files  snapshot
	steady bool // two readings agree
}

func newReloads(cfg *Config, load func(snapshot) (*tlsState, []error)) *reloads {
	r := &reloads{turn: make(chan struct{}, 1), cfg: cfg, read: readFile, load: load, report: func(Reloaded, error) {}}
	if cfg.Trace != nil && cfg.Trace.Reloaded != nil {
		r.report = cfg.Trace.Reloaded
	}
	r.turn <- struct{}{}
	return r
}

// readFiles reads all files, and waits for them no longer than configfile.Timeout: a file may be on a mount
// whose server is away. One that does not answer is a *ConfigError.
func (r *reloads) readFiles(ctx context.Context, earlier snapshot) (reading, error) {
	got, err := r.reader.Do(ctx, func() (got reading) {
		got.files, got.steady = steadySnapshot(r.cfg.files(), earlier, func(path string) ([]byte, fs.FileMode, error) {
			r.path.Store(&path)
			return r.read(path)
		})
		return got
	})
	if path := r.path.Load(); path != nil && errors.Is(err, configfile.ErrStalled) {
		err = &ConfigError{Field: r.cfg.fieldOf(*path), Value: *path, Problem: ProblemUnusable, Err: err}
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

// settle looks at the files until they are in order, or have been wrong for settleTime. News is false if that is what the
// last report said, or the one before it all, and if ctx ended in between.
func (d *Dialer) settle(ctx context.Context) (found Reloaded, news bool, err error) {
	r := d.reloads
	for {
		wasRefused, wasStalled := r.refused != nil, r.stalled
		found, err = d.look(ctx)
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

// look compares the files with the state in force and replaces that, as a whole, when they hold another one
// that is valid. With an error the files are stalled, or wrong: refused, if it is set afterwards, else
// perhaps only half written.
func (d *Dialer) look(ctx context.Context) (Reloaded, error) {
	r, current := d.reloads, d.state.Load()
	r.looked = time.Now()
	found := Reloaded{
		RootsNotAfter: current.rootsNotAfter, ClientNotAfter: current.clientNotAfter, CRLNextUpdate: current.policy.CRLs.NextUpdate(),
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
	case r.refused != nil: // a new problem, if it is one, gets its own time
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
	r.accept()
	found.describe(current, next)
	return found, nil
}

// describe says how next differs from current.
func (f *Reloaded) describe(current, next *tlsState) {
	f.Changed = true
	f.RootsNotAfter, f.ClientNotAfter, f.CRLNextUpdate = next.rootsNotAfter, next.clientNotAfter, next.policy.CRLs.NextUpdate()
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

// take waits for the turn to look.
func (r *reloads) take(ctx context.Context) error {
	select {
	case <-r.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *reloads) giveBack() { r.turn <- struct{}{} }

// accept notes that nothing is wrong with the files.
func (r *reloads) accept() { r.since, r.refused, r.problem = time.Time{}, nil, nil }

// reject notes that files are wrong, and refuses them if files have been wrong for long enough.
func (r *reloads) reject(files snapshot, problem error) {
	if r.since.IsZero() {
		r.since = time.Now()
	}
	if time.Since(r.since) >= settleTime {
		r.refused, r.problem = files.forget(), problem
	}
}
