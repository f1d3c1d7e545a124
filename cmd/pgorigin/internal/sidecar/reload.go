package sidecar

import (
	"context"
	"os"
	"sync"

	"go.uber.org/zap"
)

// watchFiles reloads changed files of each origin until ctx ends: at its interval, and at each SIGHUP. A
// process that drains ignores SIGHUP. The interval goes on, because cancel requests still dial.
func (s *Sidecar) watchFiles(ctx context.Context, hangups <-chan os.Signal) {
	for _, o := range s.origins {
		s.tasks.Go(func() { o.dialer.Watch(ctx, o.settings.TLS.ReloadInterval) })
	}
	s.watchShown(ctx)
	s.tasks.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			if s.draining.Load() {
				s.log.Info("reload ignored, draining")
				continue
			}
			s.notifyReloading()
			var reloads sync.WaitGroup // a slow volume delays only its own origin
			for _, o := range s.origins {
				reloads.Go(func() {
					o.observer.ReloadRequested()
					news := o.reloadShown(ctx)
					found, err := o.dialer.Reload(ctx)
					if err == nil && !found.Changed && !news {
						s.log.Info("nothing to reload", zap.String("origin", o.settings.Name()))
					}
				})
			}
			reloads.Wait()
			s.notify(notifyReady)
		}
	})
}
