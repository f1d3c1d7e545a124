package sidecar

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/health"
)

const (
	// lookPeriod is how often a start looks for files that are not in order.
	lookPeriod = 250 * time.Millisecond
	// settleTime is how long a file may be wrong, because somebody may be writing it. A reload waits as long.
	settleTime = 2 * time.Second
)

// patience returns how long a start may wait, from its beginning, until problems are gone. Zero means that
// waiting does not cure all of them. The process starts as a whole, so the longest wait of an origin counts.
func (s *Sidecar) patience(problems []config.Problem) time.Duration {
	var wait time.Duration
	for _, o := range s.origins {
		wait = max(wait, o.settings.Upstream.Wait)
	}
	patience := min(wait, settleTime)
	for _, p := range problems {
		switch p.Fault {
		case config.NoFileFault:
			return 0
		case config.FileMissing:
			patience = wait
		case config.FileUnusable:
		}
	}
	return patience
}

// awaitFiles waits for files that are about to be written. Everything is bound meanwhile: clients wait in the
// queue of the kernel, and probes get the reason. It returns what is ready to serve these clients, or the
// problems that are left. If the process is to end, it returns neither.
func (s *Sidecar) awaitFiles(
	ctx context.Context, p cli.Process, began time.Time, problems []config.Problem,
) (*Sidecar, []config.Problem) {
	var reason atomic.Value
	reason.Store(reasonOf(problems))
	defer s.answerProbes(&reason)()
	var limit time.Duration
	var logged []config.Problem
	for {
		patience := s.patience(problems)
		limit = max(limit, patience)
		left := limit - time.Since(began)
		if patience == 0 || left <= 0 {
			return nil, problems
		}
		if !slices.Equal(problems, logged) {
			s.log.Warn("waiting for files", zap.Stringers("problems", problems),
				zap.Float64("timeout", left.Round(lookPeriod).Seconds()))
			logged = problems
		}
		select {
		case <-time.After(min(lookPeriod, left)):
		case <-s.quit:
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		}
		var next *Sidecar
		if next, problems = New(p); len(problems) == 0 {
			next.adopt(s)
			return next, nil
		}
		reason.Store(reasonOf(problems))
	}
}

// reasonOf is what probes are told about problems.
func reasonOf(problems []config.Problem) error {
	var errs []error
	for _, p := range problems {
		errs = append(errs, errors.New(p.String()))
	}
	return errors.Join(errs...)
}

// adopt takes over the listeners for clients, with the clients that wait there, and a request to end.
func (s *Sidecar) adopt(earlier *Sidecar) {
	s.quit = earlier.quit
	for i, o := range s.origins {
		o.listeners = earlier.origins[i].listeners
	}
}

// answerProbes serves the health and admin endpoints of a process that has not started. reason has the error
// that says why. The function end frees their addresses.
func (s *Sidecar) answerProbes(reason *atomic.Value) (end func()) {
	missing := func() (string, error) { return "", reason.Load().(error) }
	s.status.AddStartup("files", missing)
	s.status.AddReadiness("files", missing)
	s.status.Started() // all is bound
	serve := func(server *http.Server, ln net.Listener) {
		if ln != nil {
			s.tasks.Go(func() { _ = health.Serve(server, ln) })
		}
	}
	serve(s.healthServer, s.healthListener)
	serve(s.adminServer, s.adminListener)
	return func() {
		_ = s.healthServer.Close()
		_ = s.adminServer.Close()
		s.tasks.Wait()
	}
}
