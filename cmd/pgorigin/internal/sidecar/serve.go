package sidecar

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
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
	settings config.Config
	about    cli.Build
	doubts   []config.Warning // what is no reason not to start
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
	idle      *observe.IdleWatch
	draining  atomic.Bool
}

// Run relays clients until a signal, the end of ctx or a failure.
func Run(ctx context.Context, p cli.Process) int {
	stop := observe.QueueStderr(&p)
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
	go func() { starts <- prepare(starting, p) }()
	select {
	case s := <-starts:
		if s.code != cli.ExitOK {
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
		if s.code == cli.ExitOK {
			s.in.unbind()
		}
	case <-time.After(cleanupTimeout): // it hangs, and ends with the process
	}
	return cli.ExitOK
}

// started is how a start ended. In is ready to serve if code is exitOK, else nil.
type started struct {
	in   *instance
	code int
}

// prepare makes an instance and binds its listeners.
func prepare(ctx context.Context, p cli.Process) started {
	in, problems := newInstance(p)
	if len(problems) > 0 {
		config.Report(p.Stderr, problems)
		return started{code: cli.ExitConfig}
	}
	in.planResources(p.Env, host.CgroupMemory(os.DirFS("/")))
	if code := in.listen(ctx, p); code != cli.ExitOK {
		return started{code: code}
	}
	return started{in, cli.ExitOK}
}

// newInstance reads the settings and the files that they name and makes what runs, or returns every problem.
func newInstance(p cli.Process) (*instance, []config.Problem) {
	s, warnings, problems := config.Load(p.Env)
	in := &instance{
		settings: s, about: p.Build, status: new(health.Status), doubts: s.Warnings(),
		log:     observe.NewLogger(p.Stderr, s.LogFormat, s.LogLevel, p.Env),
		hangups: make(chan os.Signal, 1), quit: make(chan struct{}, 1),
		idle: observe.NewIdleWatch(time.Duration(s.ExitWhenIdle)), room: new(pgwire.Capacity),
	}
	counts := metrics.New(metrics.Options{
		Version: in.about.Version, Revision: in.about.Revision, GoVersion: in.about.Go,
		Origins: s.Labels(), Reasons: advice.Words(), DialReasons: advice.DialWords(), LoginMethods: pgwire.LoginMethods(),
		CertificateReasons: advice.CertificateWords(),
		CancelEffects:      observe.CancelEffects(),
		Status:             in.status,
		LogLinesDropped:    droppedLogLines(p.Stderr),
	})
	for _, o := range in.settings.AllOrigins() {
		observer := observe.NewObserver(o, in.log, counts)
		observer.Idle = in.idle
		made, wrong := newOrigin(&in.settings, o, observer, problems)
		problems = append(problems, wrong...)
		if made.server != nil {
			made.server.Capacity = in.room
		}
		in.origins = append(in.origins, made)
	}
	if len(problems) > 0 {
		config.SortProblems(problems)
		return nil, problems
	}
	in.status.About = aboutThis(in.about, host.Lookup(p.Env, "GODEBUG"))
	in.web = health.NewServer(health.Handler(in.status, page.Handler(in.status.Snapshot), counts.Handler()))
	in.adminWeb = newAdminServer(in.askToQuit)
	in.web.ErrorLog, _ = zap.NewStdLogAt(in.log, zap.DebugLevel) // probes that hang up, no more
	in.adminWeb.ErrorLog = in.web.ErrorLog
	for _, w := range warnings {
		in.doubts = append(in.doubts, config.Warning{Text: w.String()})
	}
	for _, o := range in.origins {
		in.doubts = append(in.doubts, advice.Warnings(o.settings, o.dialer.Warnings())...)
		o.observer.Loaded(o.dialer)
		in.status.AddNote(o.settings.NoteName(health.NoteCertificates), o.observer.Reloads.Note)
		in.status.AddNote(o.settings.NoteName(health.NoteKeyExchange), o.observer.Paths.Note)
		in.status.AddNote(o.settings.NoteName(health.NoteExpiry), o.observer.ExpiryNote)
		in.addConditions(o)
		in.status.AddOrigin(o.describe)
		counts.WatchProber(o.settings.Name(), o.observer.Prober.Snapshot)
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
	in.log.Info("starting", zap.String("version", in.about.Version), observe.Text("revision", in.about.Revision),
		zap.Object("settings", observe.LoggedSettings(in.settings.Settings())), zap.Object("memory", in.memory),
		zap.Object("capacity", in.plan), zap.Inline(trustOf{in.origins[0]}))
	for _, o := range in.origins {
		if !o.settings.Unnamed() {
			in.log.Info("origin", zap.String("origin", o.settings.Name()), zap.Object("settings", observe.LoggedSettings(o.settings.Settings())),
				zap.Inline(trustOf{o}))
		}
		o.logHello()
	}
	for _, d := range in.doubts {
		in.log.Warn("doubtful configuration", observe.Text("origin", d.Origin), observe.Text("doubt", d.Text))
	}
	for _, o := range in.origins {
		o.observer.ExpiringOwn(time.Now())
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
			in.listening.Go(func() { failed <- fmt.Errorf("listener of origin %s: %w", o.settings.Name(), o.server.Serve(watch)) })
			in.log.Info("listening", zap.String("origin", o.settings.Name()), zap.String("address", ln.Addr().String()),
				zap.String("for", "clients"))
		}
		in.status.AddLiveness(o.settings.NoteName("accept"), watches.check)
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

// droppedLogLines returns what counts the lines that stderr has lost, nil if nothing does.
func droppedLogLines(stderr io.Writer) func() uint64 {
	if q, ok := stderr.(*observe.Queue); ok {
		return q.Lost
	}
	return nil
}
