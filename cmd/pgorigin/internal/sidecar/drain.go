package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

// requestEnd asks for the end, as a signal does. A second request changes nothing. A second signal does.
func (s *Sidecar) requestEnd() {
	select {
	case s.quit <- struct{}{}:
	default: // the end is requested already
	}
}

// awaitEnd waits for a reason to end, then ends: delay, drain, close. Each further signal skips to the next
// step. It returns the exit code.
func (s *Sidecar) awaitEnd(ctx context.Context, signals <-chan os.Signal, failed <-chan error) int {
	delay := s.settings.ShutdownDelay
	var cause string
	select {
	case <-ctx.Done():
		cause = "context ended"
	case sig := <-signals:
		cause = sig.String()
	case <-s.quit: // the application does not need the database any more
		cause, delay = "asked by "+quitPath, 0
	case <-s.idle.Expired():
		cause, delay = fmt.Sprintf("no session for %v", s.settings.ExitWhenIdle), 0
	case err := <-failed:
		s.status.Drain()
		s.notify(notifyStopping)
		s.log.Error("listener failed", zap.Error(err))
		s.closeServers()
		return cli.ExitFailed
	}
	s.status.Drain()
	s.notify(notifyStopping)
	s.log.Info("shutting down", zap.String("cause", cause), zap.Float64("delay", delay.Seconds()),
		zap.Float64("timeout", s.settings.ShutdownTimeout.Seconds()))
	if delay > 0 {
		s.delayDrain(delay, signals)
	}
	return s.drain(ctx, signals)
}

// delayDrain serves clients as before, new ones included: an application that gets the same SIGTERM may need
// another connection.
func (s *Sidecar) delayDrain(delay time.Duration, signals <-chan os.Signal) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-signals:
	case <-s.quit:
	}
}

// settlePeriod is how often settle looks.
const settlePeriod = 2 * time.Millisecond

// settle waits for the end of the last session.
func (s *Sidecar) settle() {
	if s.settling == 0 {
		return
	}
	limit, tick := time.NewTimer(s.settling), time.NewTicker(settlePeriod)
	defer limit.Stop()
	defer tick.Stop()
	for s.capacity.InUse() > 0 {
		select {
		case <-tick.C:
		case <-limit.C:
			return
		}
	}
}

// drain lets running sessions end by themselves. A signal or ShutdownTimeout ends the rest. The health
// endpoints answer meanwhile, because a kubelet kills what does not answer. It returns the exit code.
func (s *Sidecar) drain(ctx context.Context, signals <-chan os.Signal) int {
	s.settle()
	timeout := s.settings.ShutdownTimeout
	s.draining.Store(true)
	for _, o := range s.origins {
		o.server.Refuse() // all of them refuse before the line below
	}
	s.log.Info("draining", zap.Float64("timeout", timeout.Seconds()))

	errSignal := errors.New("another signal came")
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	errTimeout := fmt.Errorf("sessions were still running after %v", timeout)
	timer := time.AfterFunc(timeout, func() { cancel(errTimeout) })
	defer timer.Stop()
	s.tasks.Go(func() {
		select {
		case <-signals:
			cancel(errSignal)
		case <-ctx.Done():
		}
	})
	err := s.shutDownServers(ctx)
	s.closeServers()
	for _, o := range s.origins {
		o.observer.Flush()
	}
	if err != nil {
		s.log.Warn("drain cut short", zap.NamedError("cause", context.Cause(ctx)))
		return cli.ExitFailed
	}
	s.log.Info("stopped")
	return cli.ExitOK
}

// shutDownServers drains all origins at the same time. It closes their spares, which no new session needs.
func (s *Sidecar) shutDownServers(ctx context.Context) error {
	ends := make(chan error, len(s.origins))
	for _, o := range s.origins {
		go func() {
			_ = o.spares.Close()
			ends <- o.server.Shutdown(ctx)
		}()
	}
	var errs []error
	for range s.origins {
		errs = append(errs, <-ends)
	}
	return errors.Join(errs...)
}

func (s *Sidecar) closeServers() {
	for _, o := range s.origins {
		_ = o.server.Close()
	}
}
