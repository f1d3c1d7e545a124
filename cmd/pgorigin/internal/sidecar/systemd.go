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

// States of the service; see sd_notify(3).
const (
	notifyReady    = daemon.SdNotifyReady
	notifyStopping = daemon.SdNotifyStopping
)

// startedPeriod is how often notifyStarted checks.
const startedPeriod = 100 * time.Millisecond

// notify sends states to the service manager, if NOTIFY_SOCKET names one.
func (s *Sidecar) notify(states ...string) {
	if err := host.Notify(os.Getenv("NOTIFY_SOCKET"), strings.Join(states, "\n")); err != nil {
		s.log.Warn("cannot notify service manager", zap.Strings("states", states), zap.Error(err))
	}
}

// notifyStarted reports the service ready when /startupz does. That may depend on the upstream.
func (s *Sidecar) notifyStarted(ctx context.Context) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	s.every(ctx, startedPeriod, func() (more bool) {
		if !s.status.Snapshot().Started {
			return true
		}
		s.notify(notifyReady)
		return false
	})
}

// notifyReloading reports the begin of a reload, and notifyReady its end. Type=notify-reload needs the time
// to know that the reload began after its signal.
func (s *Sidecar) notifyReloading() {
	s.notify(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

// watchdog reports while /livez succeeds, until ctx ends: twice in the interval that the service manager
// has set. Without an interval it does nothing.
func (s *Sidecar) watchdog(ctx context.Context) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("invalid watchdog interval", zap.Error(err))
	}
	if limit == 0 {
		return
	}
	s.every(ctx, limit/2, func() bool {
		if s.status.Snapshot().Live {
			s.notify(daemon.SdNotifyWatchdog)
		}
		return true
	})
}
