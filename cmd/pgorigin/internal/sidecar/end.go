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

// askToQuit asks for the end as a signal would, except that it does not have to be asked twice, and that
// asking twice changes nothing.
func (in *instance) askToQuit() {
	select {
	case in.quit <- struct{}{}:
	default: // somebody asked already
	}
}

// end waits for a reason to end and takes the steps from there: the delay, the drain, the cut. Each further
// signal goes on to the next step at once. It returns the exit code.
func (in *instance) end(ctx context.Context, signals <-chan os.Signal, failed <-chan error) int {
	wait := time.Duration(in.settings.ShutdownDelay)
	var cause string
	select {
	case <-ctx.Done():
		cause = "context ended"
	case sig := <-signals:
		cause = sig.String()
	case <-in.quit: // whoever asks for this is done with the database
		cause, wait = "asked by "+quitPath, 0
	case <-in.idle.Idle():
		cause, wait = fmt.Sprintf("no session for %v", in.settings.ExitWhenIdle), 0
	case err := <-failed:
		in.status.Drain()
		in.notify(notifyStopping)
		in.log.Error("listener failed", zap.Error(err))
		in.closeServers()
		return cli.ExitFailed
	}
	in.status.Drain()
	in.notify(notifyStopping)
	in.log.Info("shutting down", zap.String("cause", cause), zap.Float64("delay", wait.Seconds()),
		zap.Float64("timeout", time.Duration(in.settings.ShutdownTimeout).Seconds()))
	if wait > 0 {
		in.goOn(wait, signals)
	}
	return in.drain(ctx, signals)
}

// goOn serves clients as before for a while, new ones included: an application that gets the same SIGTERM may
// still have something to write, on a new connection.
func (in *instance) goOn(wait time.Duration, signals <-chan os.Signal) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-signals:
	case <-in.quit:
	}
}

// drain lets running sessions end by themselves for a while. A signal, or the end of that while, cuts the
// rest. Probes are answered to the very end, for a kubelet would otherwise kill what it cannot reach.
func (in *instance) drain(ctx context.Context, signals <-chan os.Signal) int {
	timeout := time.Duration(in.settings.ShutdownTimeout)
	in.draining.Store(true)
	for _, o := range in.origins {
		o.server.Refuse() // by all of them before the line that says so
	}
	in.log.Info("draining", zap.Float64("timeout", timeout.Seconds()))

	errSignal := errors.New("another signal came")
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	timer := time.AfterFunc(timeout,
		func() { cancel(fmt.Errorf("sessions were still running after %v", timeout)) })
	defer timer.Stop()
	in.listening.Go(func() {
		select {
		case <-signals:
			cancel(errSignal)
		case <-ctx.Done():
		}
	})
	err := in.shutdown(ctx)
	in.closeServers()
	for _, o := range in.origins {
		o.observer.Repeats.Flush()
	}
	if err != nil {
		in.log.Warn("drain cut short", zap.NamedError("cause", context.Cause(ctx)))
		return cli.ExitFailed
	}
	in.log.Info("stopped")
	return cli.ExitOK
}

// closeWebs ends the health endpoints, and then the admin endpoints, for "pgorigin shutdown --wait" takes the
// end of their listener for the end of it all.
func (in *instance) closeWebs() {
	_ = in.web.Close()
	_ = in.adminWeb.Close()
}
