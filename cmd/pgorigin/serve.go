package main

import (
	"context"
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
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/health/page"
	"github.com/pgorigin/pgorigin/pgwire"
)

// cleanupTimeout is for what has to end before the process does, and takes milliseconds unless something
// hangs.
const cleanupTimeout = 2 * time.Second

// instance is one running pgorigin: everything that is built from the settings.
type instance struct {
	settings settings
	about    build
	doubts   []doubt // what is no reason not to start
	memory   memoryPlan
	plan     capacityPlan
	room     *pgwire.Capacity // as planned, for all origins
	log      *zap.Logger
	status   *health.Status
	origins  []*origin // the unnamed one first
	web      *http.Server
	adminWeb *http.Server

	probes    net.Listener // nil: the health endpoints are off
	admin     net.Listener // nil: the admin endpoints are off
	listening sync.WaitGroup
	hangups   chan os.Signal // SIGHUP: look at the certificate files
	quit      chan struct{}  // POST /quitquitquit
	idle      *idleWatch
	draining  atomic.Bool
}

// runRun relays clients until a signal, the end of ctx or a failure.
func runRun(ctx context.Context, p process) int {
	if code, done := p.parseFlags("run", func(*flag.FlagSet) {}); done {
		return code
	}
	stop := p.queueStderr()
	defer stop()
	signals := make(chan os.Signal, 2)
	// To the very end: one that comes while the log is flushed ends nothing early.
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)

	hangups := make(chan os.Signal, 1) // one that comes early counts once the files are watched
	signal.Notify(hangups, syscall.SIGHUP)
	// A start may hang in files that do not answer, so it runs beside the wait for signals.
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	starts := make(chan started, 1)
	go func() { starts <- p.start(starting) }()
	select {
	case s := <-starts:
		if s.code != exitOK {
			return s.code
		}
		s.in.hangups = hangups
		return s.in.serve(ctx, signals)
	case <-signals:
	case <-ctx.Done():
	}
	cancel()
	select {
	case s := <-starts:
		if s.code == exitOK {
			s.in.unbind()
		}
	case <-time.After(cleanupTimeout): // it hangs, and ends with the process
	}
	return exitOK
}

// started is how a start ended. In is ready to serve if code is exitOK, else nil.
type started struct {
	in   *instance
	code int
}

// start makes an instance and binds its listeners.
func (p process) start(ctx context.Context) started {
	in, problems := newInstance(p)
	if len(problems) > 0 {
		report(p.stderr, problems)
		return started{code: exitConfig}
	}
	in.planResources(p.env, cgroupMemory(os.DirFS("/")))
	if code := in.listen(ctx, p); code != exitOK {
		return started{code: code}
	}
	return started{in, exitOK}
}

// newInstance reads the settings and the files that they name and makes what runs, or returns every problem.
func newInstance(p process) (*instance, []problem) {
	s, warnings, problems := load(p.env)
	in := &instance{
		settings: s, about: readBuild(), status: new(health.Status), doubts: s.doubts(),
		log:     newLogger(p.stderr, s.LogFormat, s.LogLevel, p.env),
		hangups: make(chan os.Signal, 1), quit: make(chan struct{}, 1),
		idle: newIdleWatch(time.Duration(s.ExitWhenIdle)), room: new(pgwire.Capacity),
	}
	counts := metrics.New(metrics.Options{
		Version: in.about.Version, Revision: in.about.Revision, GoVersion: in.about.Go,
		Origins: s.labels(), Reasons: allReasons(), DialReasons: dialReasons(), LoginMethods: pgwire.LoginMethods(),
		CancelEffects:   cancelEffects(),
		Status:          in.status,
		LogLinesDropped: droppedLogLines(p.stderr),
	})
	found := problems
	for _, o := range in.settings.origins() {
		observer := newObserver(o, in.log, counts)
		observer.idle = in.idle
		made, wrong := in.settings.newOrigin(o, observer, found)
		problems = o.join(problems, wrong)
		if made.server != nil {
			made.server.Capacity = in.room
		}
		in.origins = append(in.origins, made)
	}
	if len(problems) > 0 {
		sortProblems(problems)
		return nil, problems
	}
	in.status.About = aboutThis(in.about, lookup(p.env, "GODEBUG"))
	in.web = health.NewServer(health.Handler(in.status, page.Handler(in.status.Snapshot), counts.Handler()))
	in.adminWeb = newAdminServer(in.askToQuit)
	in.web.ErrorLog, _ = zap.NewStdLogAt(in.log, zap.DebugLevel) // probes that hang up, no more
	in.adminWeb.ErrorLog = in.web.ErrorLog
	for _, w := range warnings {
		in.doubts = append(in.doubts, doubt{text: w.String()})
	}
	for _, o := range in.origins {
		in.doubts = append(in.doubts, o.doubts()...)
		o.observer.loaded(o.dialer)
		in.status.AddNote(o.settings.noteName(health.NoteCertificates), o.observer.reloads.note)
		in.status.AddNote(o.settings.noteName(health.NoteKeyExchange), o.observer.paths.note)
		in.status.AddNote(o.settings.noteName(health.NoteExpiry), o.observer.expiryNote)
		in.addConditions(o)
		in.status.AddOrigin(o.describe)
		counts.WatchProber(o.settings.name, o.observer.prober.Snapshot)
	}
	return in, nil
}

// serve announces the listeners and serves until it is told to stop or a listener fails.
func (in *instance) serve(ctx context.Context, signals <-chan os.Signal) int {
	in.announce()
	ctxOfFiles, stopFiles := context.WithCancel(context.WithoutCancel(ctx))
	defer in.cleanUp(stopFiles)
	in.watchFiles(ctxOfFiles)
	in.keepSpares()
	in.probeUpstreams(ctxOfFiles)
	failed := in.accept()
	in.status.Started()
	in.log.Info("ready")
	in.notifyStarted(ctxOfFiles)
	in.watchdog(ctxOfFiles)
	in.giveBackMemory(ctxOfFiles)
	return in.end(ctx, signals, failed)
}

// cleanUp ends what runs beside the sessions. What does not end within cleanupTimeout ends with the process.
func (in *instance) cleanUp(stopFiles context.CancelFunc) {
	cleaned := make(chan struct{})
	go func() {
		defer close(cleaned)
		stopFiles()
		in.closeWebs()
		in.listening.Wait()
		in.closeDialers()
	}()
	timer := time.NewTimer(cleanupTimeout)
	defer timer.Stop()
	select {
	case <-cleaned:
	case <-timer.C:
		in.log.Warn("cleaning up cut short", zap.Float64("timeout", cleanupTimeout.Seconds()))
	}
}

// announce says in the log what is about to be served.
func (in *instance) announce() {
	in.log.Info("starting", zap.String("version", in.about.Version), text("revision", in.about.Revision),
		zap.Object("settings", &in.settings), zap.Object("memory", in.memory),
		zap.Object("capacity", in.plan), zap.Inline(trustOf{in.origins[0]}))
	for _, o := range in.origins {
		if !o.settings.unnamed() {
			in.log.Info("origin", zap.String("origin", o.settings.name), zap.Object("settings", o.settings),
				zap.Inline(trustOf{o}))
		}
		o.logHello()
	}
	for _, d := range in.doubts {
		in.log.Warn("doubtful configuration", text("origin", d.origin), text("doubt", d.text))
	}
	for _, o := range in.origins {
		o.observer.expiringOwn(time.Now())
	}
}

// accept serves every listener. The channel gets the error of each that ends.
func (in *instance) accept() <-chan error {
	count := 2
	for _, o := range in.origins {
		count += len(o.clients)
	}
	failed := make(chan error, count)
	for _, o := range in.origins {
		var watches acceptWatches
		for _, ln := range o.clients {
			watch := &acceptWatch{Listener: ln}
			watches = append(watches, watch)
			in.listening.Go(func() { failed <- fmt.Errorf("listener of origin %s: %w", o.settings.name, o.server.Serve(watch)) })
			in.log.Info("listening", zap.String("origin", o.settings.name), zap.String("address", ln.Addr().String()),
				zap.String("for", "clients"))
		}
		in.status.AddLiveness(o.settings.noteName("accept"), watches.check)
	}
	if in.probes != nil {
		in.listening.Go(func() { failed <- fmt.Errorf("listener for health: %w", health.Serve(in.web, in.probes)) })
		in.log.Info("listening", zap.String("address", in.probes.Addr().String()), zap.String("for", "health"))
	}
	if in.admin != nil {
		in.listening.Go(func() { failed <- fmt.Errorf("listener for admin: %w", health.Serve(in.adminWeb, in.admin)) })
		in.log.Info("listening", zap.String("address", in.admin.Addr().String()), zap.String("for", "admin"))
	}
	return failed
}
