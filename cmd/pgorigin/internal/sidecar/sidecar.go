package sidecar

import (
	"context"
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
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/listentls"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/health"
	"github.com/pgorigin/pgorigin/health/metrics"
	"github.com/pgorigin/pgorigin/health/page"
	"github.com/pgorigin/pgorigin/pgwire"
)

// cleanUpTimeout bounds the work at the end of the process. It takes milliseconds unless something hangs.
const cleanUpTimeout = 2 * time.Second

// Sidecar is one running pgorigin. What lives as long as the process is a field here.
type Sidecar struct {
	settings config.Config
	build    cli.Build
	warnings []config.Warning
	log      *zap.Logger
	status   *health.Status
	origins  []*origin        // the unnamed one first
	capacity *pgwire.Capacity // of all origins together
	plan     capacityPlan     // what capacity was set to
	settling time.Duration    // see Surroundings.Settle
	memory   memoryPlan

	bound     map[string]net.Listener // for clients, by address, before listen takes them
	authority *listentls.Authority    // of all origins with LISTEN_TLS=self-signed; nil if there is none

	healthServer, adminServer     *http.Server
	healthListener, adminListener net.Listener // nil: these endpoints are off

	tasks    sync.WaitGroup // everything that runs beside serve
	quit     chan struct{}  // receives at POST /quitquitquit
	idle     *observe.IdleTimer
	draining atomic.Bool
}

// Surroundings are what a Sidecar has from the command that runs it.
type Surroundings struct {
	Signals <-chan os.Signal // each begins the next step of the shutdown
	Hangups <-chan os.Signal // each makes the Sidecar read changed files
	// Listeners are bound already, by their address in LISTEN_ADDR. The Sidecar closes them when it ends. It
	// binds every other address itself.
	Listeners map[string]net.Listener
	Warnings  []config.Warning // are logged with those about the settings
	Up        func()           // is called when clients can connect; nil: nobody wants to know
	// FilesExist means that a file that does not exist is a mistake. Otherwise the Sidecar waits for it.
	FilesExist bool
	// Settle is how long the last sessions may take to end by themselves before the drain: their clients have
	// ended, and the last message may be on its way. Zero means that the drain begins at once.
	Settle time.Duration
}

// Run serves as "pgorigin run" does, and returns the exit code.
func Run(ctx context.Context, p cli.Process) int {
	flush := observe.QueueStderr(&p)
	defer flush()
	// Nothing takes these signals back, so a late one cannot interrupt the flush.
	signals, hangups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	signal.Notify(hangups, syscall.SIGHUP)
	return Serve(ctx, p, Surroundings{Signals: signals, Hangups: hangups})
}

// Serve builds a Sidecar and serves until a signal, the end of ctx or a failure. It returns the exit code.
func Serve(ctx context.Context, p cli.Process, around Surroundings) int {
	// A start may hang in a file that cannot be read, so it runs beside the wait for signals.
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	var s *Sidecar
	var code int
	done := make(chan struct{})
	go func() {
		defer close(done)
		s, code = prepare(starting, p, around)
	}()
	select {
	case <-done:
		if s == nil {
			return code
		}
		return s.serve(ctx, around)
	case <-around.Signals:
	case <-ctx.Done():
	}
	cancel()
	select {
	case <-done:
		if s != nil {
			s.closeListeners()
		}
	case <-time.After(cleanUpTimeout):
	}
	return cli.ExitOK
}

// prepare returns a Sidecar that listens. If anything is wrong, it reports that to stderr and returns nil and
// the exit code.
func prepare(ctx context.Context, p cli.Process, around Surroundings) (*Sidecar, int) {
	began := time.Now()
	s, problems := New(p)
	s.bound = around.Listeners
	if len(problems) > 0 && !around.FilesExist && s.patience(problems) > 0 {
		waiting := s
		if code := waiting.listen(ctx, p); code != cli.ExitOK {
			return nil, code
		}
		if s, problems = waiting.awaitFiles(ctx, p, began, problems); s == nil {
			waiting.closeListeners()
		}
	}
	switch {
	case len(problems) > 0:
		config.Report(p.Stderr, problems)
		return nil, cli.ExitConfig
	case s == nil:
		return nil, cli.ExitOK // told to end
	}
	s.bound = around.Listeners
	s.planResources(p.Env, host.CgroupMemory(os.DirFS("/")))
	if code := s.listen(ctx, p); code != cli.ExitOK {
		return nil, code
	}
	if code := s.writeCAFiles(p); code != cli.ExitOK {
		return nil, code
	}
	return s, cli.ExitOK
}

// New builds a Sidecar from the variables of p and the files that they name. It opens no connection and no
// listener. If anything is wrong, New returns every problem. The Sidecar can then listen and answer probes, but
// not serve.
func New(p cli.Process) (*Sidecar, []config.Problem) {
	settings, unknown, problems := config.LoadAs(p.Env, p.Names)
	s := &Sidecar{
		settings: settings, build: p.Build, warnings: settings.Warnings(),
		log:      observe.NewLogger(p.Stderr, settings.LogFormat, settings.LogLevel, p.Env),
		status:   new(health.Status),
		capacity: new(pgwire.Capacity),
		quit:     make(chan struct{}, 1),
		idle:     observe.NewIdleTimer(settings.ExitWhenIdle),
	}
	counts := metrics.New(metrics.Options{
		Version: p.Build.Version, Revision: p.Build.Revision, GoVersion: p.Build.Go,
		Origins: settings.Labels(), Reasons: advice.Words(), DialReasons: advice.DialWords(),
		CertificateReasons: advice.CertificateWords(),
		LoginMethods:       pgwire.LoginMethods(),
		CancelEffects:      observe.CancelEffects(),
		AddressStates:      observe.AddressStates(),
		Status:             s.status,
		LogLinesDropped:    observe.DroppedLines(p.Stderr),
	})
	s.status.About = describeBuild(p.Build, host.Getenv(p.Env, "GODEBUG"))
	endpoints := health.Handler(s.status, page.Handler(s.status.Snapshot), counts.Handler())
	s.healthServer = health.NewServer(endpoints)
	s.adminServer = newAdminServer(s.requestEnd)
	s.healthServer.ErrorLog, _ = zap.NewStdLogAt(s.log, zap.DebugLevel) // only probes that hang up
	s.adminServer.ErrorLog = s.healthServer.ErrorLog
	for _, o := range settings.AllOrigins() {
		made, wrong := s.newOrigin(o, counts, problems)
		problems = append(problems, wrong...)
		s.origins = append(s.origins, made)
	}
	if len(problems) > 0 {
		config.SortProblems(problems)
		return s, problems
	}
	for _, w := range unknown {
		s.warnings = append(s.warnings, config.Warning{Text: w.String()})
	}
	if s.idle != nil {
		s.idle.Busy = s.clientsWait
	}
	for _, o := range s.origins {
		s.warnings = append(s.warnings, advice.Warnings(o.settings, o.dialer.Warnings())...)
		o.observer.Loaded(o.dialer)
		o.observer.AddNotes(s.status)
		s.addConditions(o)
		s.status.AddOrigin(func() health.OriginSnapshot { return s.describe(o) })
	}
	return s, nil
}

// serve serves until a signal, the end of ctx or a failure, then ends everything. It returns the exit code.
func (s *Sidecar) serve(ctx context.Context, around Surroundings) int {
	s.settling = around.Settle
	s.warnings = append(s.warnings, around.Warnings...)
	s.announce()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer s.cleanUp(stop)
	s.watchFiles(background, around.Hangups)
	s.keepSpares()
	s.probeUpstreams(background)
	failed := s.accept()
	s.status.Started()
	s.log.Info("ready")
	s.notifyStarted(background)
	s.watchdog(background)
	if around.Up != nil {
		around.Up()
	}
	return s.awaitEnd(ctx, around.Signals, failed)
}

// announce logs what is about to be served.
func (s *Sidecar) announce() {
	s.log.Info("starting", zap.String("version", s.build.Version), observe.Text("revision", s.build.Revision),
		zap.Object("settings", observe.LoggedSettings(s.settings.Settings())), zap.Object("memory", s.memory),
		zap.Object("capacity", s.plan), zap.Inline(verification{s.origins[0]}))
	for _, o := range s.origins {
		if !o.settings.Unnamed() {
			s.log.Info("origin", zap.String("origin", o.settings.Name()),
				zap.Object("settings", observe.LoggedSettings(o.settings.Settings())),
				zap.Inline(verification{o}))
		}
		o.observer.ClientHello(o.dialer.Hello())
	}
	for _, w := range s.warnings {
		s.log.Warn("configuration warning", observe.Text("origin", w.Origin), observe.Text("warning", w.Text))
	}
	for _, o := range s.origins {
		o.observer.CheckExpiry(time.Now())
	}
}

// every calls do at once and then in each period, until it returns false or ctx ends.
func (s *Sidecar) every(ctx context.Context, period time.Duration, do func() (more bool)) {
	s.tasks.Go(func() {
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

// cleanUp ends what runs beside the sessions. The end of the process ends what takes longer than
// cleanUpTimeout.
func (s *Sidecar) cleanUp(stop context.CancelFunc) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		stop()
		// "pgorigin shutdown --wait" takes the end of the admin listener for the end of everything.
		_ = s.healthServer.Close()
		_ = s.adminServer.Close()
		s.tasks.Wait()
		s.closeUpstreams()
	}()
	timer := time.NewTimer(cleanUpTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.log.Warn("cleanup timed out", zap.Float64("timeout", cleanUpTimeout.Seconds()))
	}
}

// closeUpstreams closes what dials. The servers have ended.
func (s *Sidecar) closeUpstreams() {
	for _, o := range s.origins {
		_ = o.spares.Close()
		_ = o.line.Close()
		_ = o.dialer.Close()
	}
}
