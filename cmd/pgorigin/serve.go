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
	server   *pgwire.Server
	web      *http.Server

	clients   []net.Listener
	probes    net.Listener // nil: the health endpoints are off
	listening sync.WaitGroup
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
		server: &pgwire.Server{
			Dial:         dialer.Dial,
			Hint:         hint,
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
	observer.certificates(dialer.NotAfter())
	return in, nil
}

// listen binds every address before anything is announced, so that a port in use is an error and not a half-started
// process. An address that turns out to be reachable from elsewhere is a configuration problem.
func (in *instance) listen(ctx context.Context, p process) int {
	for _, addr := range in.settings.Listen.Addr {
		ln, err := in.bind(ctx, addr, prefix+"LISTEN_ADDR")
		if err != nil {
			return exitFailed
		}
		in.clients = append(in.clients, ln)
		if !in.settings.loopbackOnly(ln.Addr()) {
			in.unbind()
			report(p.stderr, []problem{{
				variable: prefix + "LISTEN_ADDR", value: addr,
				text: fmt.Sprintf("expected a loopback address, but this is %s; use 127.0.0.1", ln.Addr()),
			}})
			return exitConfig
		}
	}
	if addr := string(in.settings.HealthAddr); addr != "" {
		ln, err := in.bind(ctx, addr, prefix+"HEALTH_ADDR")
		if err != nil {
			return exitFailed
		}
		in.probes = ln
	}
	return exitOK
}

// bind listens on addr. On failure it says so and gives back what was bound before.
func (in *instance) bind(ctx context.Context, addr, variable string) (net.Listener, error) {
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", addr)
	if err == nil {
		return ln, nil
	}
	cure := "set " + variable + " to an address of this machine"
	if errors.Is(err, syscall.EADDRINUSE) {
		cure = "set " + variable + " to a free address, or stop the program that listens there"
	}
	in.log.Error("cannot listen", zap.String("address", addr), zap.String("variable", variable),
		zap.Error(err), zap.String("cure", cure))
	in.unbind()
	return nil, err
}

func (in *instance) unbind() {
	for _, ln := range in.clients {
		_ = ln.Close()
	}
}

// serve announces the listeners and serves until it is told to stop or a listener fails.
func (in *instance) serve(ctx context.Context, signals <-chan os.Signal) int {
	defer in.listening.Wait()
	defer func() { _ = in.web.Close() }()
	failed := make(chan error, len(in.clients)+1)
	in.log.Info("starting", zap.String("version", in.about.Version), text("revision", in.about.Revision),
		zap.Object("settings", &in.settings))
	for _, doubt := range in.doubts {
		in.log.Warn("doubtful configuration", text("doubt", doubt))
	}
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
