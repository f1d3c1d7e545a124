package webhook

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/inject"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/tlsorigin/configfile"
)

// Lines of the log in a minute. Metrics count what has no line.
const (
	strangersLines = 10  // about requests that cannot be answered
	podsLines      = 300 // about injected pods, and as many about refused ones
)

// drainTimeout is for reviews that are running when the shutdown delay is over. A review takes milliseconds.
const drainTimeout = 10 * time.Second

// server is one running webhook.
type server struct {
	settings config.WebhookSettings
	log      *zap.Logger
	build    cli.Build
	metrics  *metrics
	defaults configfile.Reader[defaults]

	// strangers and pods log what others can make the webhook say: some lines a minute.
	strangers, pods *zap.Logger
}

// Run serves until the end of ctx or SIGTERM. It returns the exit code.
func Run(ctx context.Context, p cli.Process) int {
	stopLog := observe.QueueStderr(&p)
	defer stopLog()
	settings, problems := config.LoadWebhook(p.Env)
	if len(problems) > 0 {
		config.Report(p.Stderr, problems)
		return cli.ExitConfig
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := &server{
		settings: settings, build: p.Build,
		log: observe.NewLogger(p.Stderr, settings.LogFormat, settings.LogLevel, p.Env),
	}
	s.strangers, s.pods = limited(s.log, strangersLines), limited(s.log, podsLines)
	if limit := host.CgroupMemory(os.DirFS("/")); limit > 0 && host.Getenv(p.Env, "GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 5 * 4) // the rest is for the kernel's buffers
	}
	cert, key := settings.Webhook.CertFile, settings.Webhook.KeyFile
	pair, err := keypair.Open(ctx, cert, key, settings.Webhook.ServerName, s.logReload)
	switch {
	case ctx.Err() != nil:
		return cli.ExitOK // SIGTERM came while the files did not answer
	case err != nil:
		problem := config.Problem{
			Variable: config.Prefix + "WEBHOOK_CERT_FILE", Value: cert, Text: err.Error(),
		}
		config.Report(p.Stderr, []config.Problem{problem})
		return cli.ExitConfig
	}
	addr := settings.Webhook.ListenAddr
	listener, err := host.TCPListenConfig(config.IsLoopback(addr)).Listen(ctx, "tcp", addr)
	if err != nil {
		variable := config.Prefix + "WEBHOOK_LISTEN_ADDR"
		s.log.Error("cannot listen", zap.String("address", addr), zap.String("variable", variable), zap.Error(err),
			zap.String("cure", host.ListenCure(variable, addr, err)))
		return cli.ExitFailed
	}
	return s.serve(ctx, listener, pair)
}

// limited returns a logger that writes some lines a minute for each message, and drops the others.
func limited(log *zap.Logger, lines int) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Minute, lines, 0)
	}))
}

// serve answers until the end of ctx, and then for the shutdown delay. It closes the listener.
func (s *server) serve(ctx context.Context, listener net.Listener, pair *keypair.Pair) int {
	s.metrics = newMetrics(s.build, pair, s.checkDefaults)
	handler := &inject.Webhook{Injector: s.newInjector, Reviewed: s.reviewed}
	server := handler.Server(pair)
	server.Handler = s.metrics.wrap(server.Handler)
	server.ErrorLog, _ = zap.NewStdLogAt(s.log, zap.DebugLevel) // mostly clients that hang up
	failed := make(chan error, 1)
	bounded := inject.Limit(server, listener)
	go func() { failed <- server.ServeTLS(bounded, "", "") }()
	s.log.Info("ready", zap.String("version", s.build.Version), zap.Stringer("address", listener.Addr()))
	if err := pair.Usable(); err != nil {
		s.log.Error("certificate cannot be used", zap.Error(err))
	}
	go func() { // the folder may be on a mount that does not answer
		if err := s.checkDefaults(); err != nil {
			s.log.Error("defaults are wrong", zap.Error(err))
		}
	}()
	select {
	case err := <-failed:
		s.log.Error("listener failed", zap.Error(err))
		return cli.ExitFailed
	case <-ctx.Done():
	}
	handler.Drain()
	delay := s.settings.Webhook.ShutdownDelay
	s.log.Info("shutting down", zap.Float64("delay", delay.Seconds()))
	select {
	case err := <-failed:
		s.log.Error("listener failed", zap.Error(err))
		return cli.ExitFailed
	case <-time.After(delay):
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		s.log.Error("reviews were cut short", zap.Error(err))
		return cli.ExitFailed
	}
	s.log.Info("stopped")
	return cli.ExitOK
}

// defaults are an injector, or the reason why there is none.
type defaults struct {
	injector *inject.Injector
	err      error
}

// newInjector reads the defaults, which may have changed since the last review.
func (s *server) newInjector(ctx context.Context) (*inject.Injector, error) {
	read, err := s.defaults.Do(ctx, func() (read defaults) {
		read.injector = new(inject.Injector)
		read.err = read.injector.ReadDefaults(os.DirFS(s.settings.Webhook.DefaultsDir))
		return read
	})
	if err != nil {
		return nil, fmt.Errorf("folder of defaults %w", err)
	}
	return read.injector, read.err
}

func (s *server) checkDefaults() error {
	_, err := s.newInjector(context.Background())
	return err
}

// reviewed counts and logs the decision about a pod.
func (s *server) reviewed(v inject.Decision, err error) {
	object := zap.String("object", safetext.Printable(v.Object))
	result := "left_alone"
	defer func() { s.metrics.reviews.WithLabelValues(result).Inc() }()
	switch {
	case err != nil:
		result = "error"
		s.strangers.Warn("request cannot be answered", zap.Error(err))
	case len(v.Problems) > 0:
		result = "refused"
		problem := safetext.Printable(strings.Join(v.Problems, "; "))
		s.pods.Warn("pod refused", object, zap.String("problem", problem))
	case v.Injected:
		result = "injected"
		s.pods.Info("pod injected", object)
	default:
		s.log.Debug("pod left alone", object, zap.String("cause", safetext.Printable(v.Skipped)))
	}
}

// logReload logs a change of the certificate files. If err is nil, the new files are in use.
func (s *server) logReload(err error) {
	if err != nil {
		s.log.Error("certificate files are wrong; the last good ones stay in use", zap.Error(err))
		return
	}
	s.log.Info("certificate reloaded")
}
