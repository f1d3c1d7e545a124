package sidecar

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// watchFiles keeps the certificates of each origin current until ctx ends: at its interval, and when SIGHUP
// comes. A process that drains ignores the signal, but goes on to look at the interval, because cancel
// requests are still dialled.
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
	o.observer.Reloads.AskedFor()
	found, err := o.dialer.Reload(ctx)
	if err == nil && !found.Changed {
		o.observer.Log.Info("nothing to reload", zap.String("origin", o.settings.Name()))
	}
}
