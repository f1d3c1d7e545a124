package sidecar

import (
	"context"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/spares"
)

// origin is one upstream with all that serves it. Nothing in it is shared with another origin but the log and
// the metrics, which tell them apart by label.
type origin struct {
	settings *config.Origin
	dialer   *tlsorigin.Dialer // nil in one that came with problems
	spares   *spares.Pool      // between server and dialer
	observer *observe.Observer
	server   *pgwire.Server
	clients  []net.Listener
}

// newOrigin makes what serves o and returns what is wrong besides found.
func newOrigin(s *config.Config, o *config.Origin, observer *observe.Observer,
	found []config.Problem) (*origin, []config.Problem) {
	made := &origin{settings: o, observer: observer}
	dialer, err := tlsorigin.NewDialer(s.DialerConfig(o, made.lookAfterReload(observer.DialTrace())))
	if err != nil {
		return made, o.DialerProblems(err, found)
	}
	made.dialer, made.spares = dialer, newSpares(o, dialer, observer)
	observer.Prober.Try, observer.Prober.Interval = made.probe, time.Duration(s.ProbeInterval)
	made.server = &pgwire.Server{
		Dial:        made.dial,
		DialSession: made.dialSession,
		Hint:        advice.NewCures(o).Hint,
		Allow:       allowUIDs(o.Listen.AllowUids),

		ChannelBinding: o.ChannelBinding(),
		RequireAuth:    pgwire.AuthMethods(o.Auth.Require),
		Password:       o.Password(),

		LoginTimeout: time.Duration(s.LoginTimeout),
		MaxSessions:  int(o.MaxSessions),
		Trace:        observer.SessionTrace(),
	}
	observer.Metrics.SessionsOffLoop(o.Name(), made.server.SessionsOffLoop)
	return made, nil
}

// shutdown drains all origins at once; no new clients means no more spares. Its error joins theirs.
func (in *instance) shutdown(ctx context.Context) error {
	ends := make(chan error, len(in.origins))
	for _, o := range in.origins {
		go func() {
			_ = o.spares.Close()
			ends <- o.server.Shutdown(ctx)
		}()
	}
	var errs []error
	for range in.origins {
		errs = append(errs, <-ends)
	}
	return errors.Join(errs...)
}

func (in *instance) closeServers() {
	for _, o := range in.origins {
		_ = o.server.Close()
	}
}

func (in *instance) closeDialers() {
	for _, o := range in.origins {
		_ = o.spares.Close()
		_ = o.dialer.Close()
	}
}

// logHello says what the upstream is offered, before anybody asks why a firewall dislikes it.
func (o *origin) logHello() {
	log, label := o.observer.Log, zap.String("origin", o.settings.Name())
	hello, err := o.dialer.Hello()
	if err != nil {
		log.Warn("client hello unknown", label, observe.Text("error", err.Error()))
		return
	}
	log.Info("client hello", label, zap.Int("bytes", hello.Bytes),
		zap.Strings("groups", tlsorigin.GroupNames(hello.Groups)),
		zap.Strings("key_shares", tlsorigin.GroupNames(hello.KeyShares)))
}
