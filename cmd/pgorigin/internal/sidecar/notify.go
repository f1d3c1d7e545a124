package sidecar

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
)

// What a service manager is told; see sd_notify(3).
const (
	notifyReady    = daemon.SdNotifyReady
	notifyStopping = daemon.SdNotifyStopping
)

// startedPeriod is how often notifyStarted looks.
const startedPeriod = 100 * time.Millisecond

// notify tells the service manager at NOTIFY_SOCKET, if there is one.
func (in *instance) notify(states ...string) {
	if err := host.Notify(os.Getenv("NOTIFY_SOCKET"), strings.Join(states, "\n")); err != nil {
		in.log.Warn("service manager not told", zap.Strings("states", states), zap.Error(err))
	}
}

// notifyStarted tells that this process is up once /startupz says so, which may take a while if that depends
// on the upstream.
func (in *instance) notifyStarted(ctx context.Context) {
	if os.Getenv("NOTIFY_SOCKET") == "" { // nobody asked, so nothing ticks
		return
	}
	in.every(ctx, startedPeriod, func() (more bool) {
		if !in.status.Snapshot().Started {
			return true
		}
		in.notify(notifyReady)
		return false
	})
}

// notifyReloading begins a reload, which notifyReady ends. Type=notify-reload wants to know that it came
// after its signal.
func (in *instance) notifyReloading() {
	in.notify(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// watchdog tells the service manager, if it asked for that, that this process is alive, as /livez means it:
// twice as often as it must, until ctx ends.
func (in *instance) watchdog(ctx context.Context) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		in.log.Warn("watchdog not understood", zap.Error(err))
	}
	if limit == 0 {
		return
	}
	in.every(ctx, limit/2, func() bool {
		if in.status.Snapshot().Live {
			in.notify(daemon.SdNotifyWatchdog)
		}
		return true
	})
}

// every calls do now and then in each period, until it returns false or ctx ends.
func (in *instance) every(ctx context.Context, period time.Duration, do func() bool) {
	in.listening.Go(func() {
		tick := time.NewTicker(period)
		defer tick.Stop()
		for do() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}
