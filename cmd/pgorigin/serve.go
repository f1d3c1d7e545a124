package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// defaultOrigin is the label of the one upstream that this version serves.
const defaultOrigin = "default"

// instance is one running pgorigin: everything that is built from the settings.
type instance struct {
	settings settings
	about    build
	doubts   []string // what is no reason not to start
	log      *zap.Logger
	status   *health.Status
	dialer   *tlsorigin.Dialer
	observer *observer
	server   *pgwire.Server
	web      *http.Server

	clients   []net.Listener
	probes    net.Listener // nil: the health endpoints are off
	listening sync.WaitGroup
	hangups   chan os.Signal // SIGHUP: look at the certificate files
	draining  atomic.Bool
}

// runRun relays clients until a signal, the end of ctx or a failure.
func runRun(ctx context.Context, p process) int {
	if code, done := p.parseFlags("run", func(*flag.FlagSet) {}); done {
		return code
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	in, problems := newInstance(p)
	if len(problems) > 0 {
		report(p.stderr, problems)
		return exitConfig
	}
	signal.Notify(in.hangups, syscall.SIGHUP)
	defer signal.Stop(in.hangups)
	if code := in.listen(ctx, p); code != exitOK {
		return code
	}
	return in.serve(ctx, signals)
}

// newInstance reads the settings and the files that they name and makes what runs, or returns every problem.
func newInstance(p process) (*instance, []problem) {
	s, warnings, problems := load(p.env)
	log := newLogger(p.stderr, s.LogFormat, s.LogLevel, p.env)
	status, about := new(health.Status), readBuild()
	metrics := health.NewMetrics(health.Options{
		Version: about.Version, Revision: about.Revision, GoVersion: about.Go,
		Origins: []string{defaultOrigin}, Reasons: allReasons(), DialReasons: dialReasons(), Status: status,
	})
	observer := newObserver(defaultOrigin, log, metrics)
	dialer, err := tlsorigin.NewDialer(s.dialerConfig(observer.dialTrace()))
	problems = append(problems, dialerProblems(err, problems)...)
	if len(problems) > 0 {
		sortProblems(problems)
		return nil, problems
	}
	in := &instance{
		settings: s,
		about:    about,
		log:      log,
		status:   status,
		dialer:   dialer,
		observer: observer,
		hangups:  make(chan os.Signal, 1),
		server: &pgwire.Server{
			Dial:  dialer.Dial,
			Hint:  hint,
			Allow: s.allow(),

			ChannelBinding: pgwire.ChannelBinding(s.Auth.ChannelBinding),
			RequireAuth:    pgwire.AuthMethods(s.Auth.Require),
			Password:       s.password(),

			LoginTimeout: time.Duration(s.LoginTimeout),
			MaxSessions:  int(s.MaxSessions),
			Trace:        observer.sessionTrace(),
		},
		web: health.NewServer(health.Handler(status, metrics)),
	}
	in.web.ErrorLog, _ = zap.NewStdLogAt(log, zap.DebugLevel) // probes that hang up, no more
	for _, w := range warnings {
		in.doubts = append(in.doubts, w.String())
	}
	for _, w := range dialer.Warnings() {
		in.doubts = append(in.doubts, variableNames(w))
	}
	observer.loaded(dialer)
	status.AddNote("certificates", observer.reloads.note)
	status.AddNote("key_exchange", observer.paths.note)
	return in, nil
}

// serve announces the listeners and serves until it is told to stop or a listener fails.
func (in *instance) serve(ctx context.Context, signals <-chan os.Signal) int {
	defer func() { _ = in.dialer.Close() }()
	defer in.listening.Wait()
	defer func() { _ = in.web.Close() }()
	failed := make(chan error, len(in.clients)+1)
	in.log.Info("starting", zap.String("version", in.about.Version), text("revision", in.about.Revision),
		zap.Object("settings", &in.settings))
	in.logHello()
	for _, doubt := range in.doubts {
		in.log.Warn("doubtful configuration", text("doubt", doubt))
	}
	in.observer.expiringOwn(time.Now())
	ctxOfFiles, stopFiles := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFiles()
	in.watchFiles(ctxOfFiles)
	for _, ln := range in.clients {
		in.listening.Go(func() { failed <- in.server.Serve(ln) })
		in.log.Info("listening", zap.String("address", ln.Addr().String()), zap.String("for", "clients"))
	}
	if in.probes != nil {
		in.listening.Go(func() { failed <- in.web.Serve(in.probes) })
		in.log.Info("listening", zap.String("address", in.probes.Addr().String()), zap.String("for", "health"))
	}
	in.status.Started()
	in.log.Info("ready")

	select {
	case <-ctx.Done():
	case <-signals:
	case err := <-failed:
		in.status.Drain()
		in.log.Error("listener failed", zap.Error(err))
		_ = in.server.Close()
		return exitFailed
	}
	return in.drain(ctx, signals)
}

// drain lets running sessions end by themselves for a while. Another signal, or the end of that while, cuts the rest.
// Probes are answered to the very end, for a kubelet would otherwise kill what it cannot reach.
func (in *instance) drain(ctx context.Context, signals <-chan os.Signal) int {
	timeout := time.Duration(in.settings.ShutdownTimeout)
	in.draining.Store(true)
	in.status.Drain()
	in.log.Info("draining", zap.Float64("timeout", timeout.Seconds()))

	errSignal := errors.New("a second signal came")
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	timer := time.AfterFunc(timeout, func() { cancel(fmt.Errorf("sessions were still running after %v", timeout)) })
	defer timer.Stop()
	in.listening.Go(func() {
		select {
		case <-signals:
			cancel(errSignal)
		case <-ctx.Done():
		}
	})
	err := in.server.Shutdown(ctx)
	_ = in.server.Close()
	if err != nil {
		in.log.Warn("drain cut short", zap.NamedError("cause", context.Cause(ctx)))
		return exitFailed
	}
	in.log.Info("stopped")
	return exitOK
}
