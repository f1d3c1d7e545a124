package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// origin is one upstream with all that serves it. Nothing in it is shared with another origin but the log and the metrics,
// which tell them apart by label.
type origin struct {
	settings *OriginSettings
	dialer   *tlsorigin.Dialer // nil in one that came with problems
	spares   *tlsorigin.Spares // between server and dialer
	observer *observer
	server   *pgwire.Server
	clients  []net.Listener
}

// newOrigin makes what serves o and returns what is wrong besides found.
func (s *settings) newOrigin(o *OriginSettings, observer *observer, found []problem) (*origin, []problem) {
	made := &origin{settings: o, observer: observer}
	dialer, err := tlsorigin.NewDialer(s.dialerConfig(o, made.lookAfterReload(observer.dialTrace())))
	if err != nil {
		return made, o.dialerProblems(err, found)
	}
	made.dialer, made.spares = dialer, o.newSpares(dialer, observer)
	observer.prober.Try, observer.prober.Interval = made.probe, time.Duration(s.ProbeInterval)
	made.server = &pgwire.Server{
		Dial:        made.dial,
		DialSession: made.dialSession,
		Hint:        func(err error) string { return o.rename(hint(err)) },
		Allow:       o.allow(),

		ChannelBinding: pgwire.ChannelBinding(o.Auth.ChannelBinding),
		RequireAuth:    pgwire.AuthMethods(o.Auth.Require),
		Password:       o.password(),

		LoginTimeout: time.Duration(s.LoginTimeout),
		MaxSessions:  int(o.MaxSessions),
		Trace:        observer.sessionTrace(),
	}
	observer.metrics.SessionsOffLoop(o.name, made.server.SessionsOffLoop)
	return made, nil
}

// doubts returns what is odd about the files and the spares.
func (o *origin) doubts() []doubt {
	var doubts []doubt
	for _, w := range o.dialer.Warnings() {
		doubts = append(doubts, doubt{o.settings.name, o.settings.warningText(w)})
	}
	return append(doubts, o.settings.spareDoubts()...)
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
