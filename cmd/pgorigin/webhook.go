package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/host"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/inject"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/observe"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
)

const webhookHelp = `
  Answers a Kubernetes API server: POST /inject takes an AdmissionReview and puts the sidecar into a new pod with the label
  pgorigin/inject: "true", as "pgorigin inject" would, with the pod's annotations pgorigin/NAME laid over the defaults. Everything else it
  allows as it is. GET /livez and /readyz, on the same TLS port, are for the kubelet. charts/pgorigin sets all of this up.
  Exit codes: 0 clean end, 1 failure, 2 wrong usage, 78 wrong configuration.

Environment variables, with what they are when unset:
`

// webhookDrainTimeout is for reviews that are under way when the shutdown delay is over: they take milliseconds.
const webhookDrainTimeout = 10 * time.Second

func runWebhook(ctx context.Context, p process) int {
	if code, done := p.parseFlags("webhook", func(*flag.FlagSet) {}); done {
		return code
	}
	stopLog := observe.QueueStderr(&p.Process)
	defer stopLog()
	settings, problems := config.LoadWebhook(p.Env)
	if len(problems) > 0 {
		config.Report(p.Stderr, problems)
		return cli.ExitConfig
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	hook := &webhook{version: p.Build.Version, settings: settings, log: observe.NewLogger(p.Stderr, settings.LogFormat, settings.LogLevel, p.Env)}
	pair, err := inject.OpenKeyPair(ctx, settings.Webhook.Cert.File, settings.Webhook.Key.File, hook.reloaded)
	switch {
	case ctx.Err() != nil:
		return cli.ExitOK // told to end while the files did not answer
	case err != nil:
		config.Report(p.Stderr, []config.Problem{{Variable: config.Prefix + "WEBHOOK_CERT_FILE", Value: settings.Webhook.Cert.File, Text: err.Error()}})
		return cli.ExitConfig
	}
	addr := string(settings.Webhook.Listen.Addr)
	listener, err := host.TCPListenConfig(config.IsLoopback(addr)).Listen(ctx, "tcp", addr)
	if err != nil {
		hook.log.Error("cannot listen", zap.Error(err))
		return cli.ExitFailed
	}
	return hook.serve(ctx, listener, pair)
}

// webhook is one running webhook.
type webhook struct {
	settings config.WebhookSettings
	log      *zap.Logger
	version  string
}

// serve answers until the end of ctx, and then for the shutdown delay.
func (w *webhook) serve(ctx context.Context, listener net.Listener, pair *inject.KeyPair) int {
	handler := &inject.Webhook{Injector: w.injector, Reviewed: w.reviewed}
	server := handler.Server(pair)
	server.ErrorLog, _ = zap.NewStdLogAt(w.log, zap.DebugLevel) // clients that hang up, no more
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	w.log.Info("ready", zap.String("version", w.version), zap.Stringer("address", listener.Addr()))
	go func() { // the folder may be on a mount that does not answer
		if _, err := w.injector(); err != nil {
			w.log.Error("defaults are wrong", zap.Error(err))
		}
	}()
	select {
	case err := <-failed:
		w.log.Error("listener failed", zap.Error(err))
		return cli.ExitFailed
	case <-ctx.Done():
	}
	handler.Drain()
	w.log.Info("shutting down", zap.Float64("delay", time.Duration(w.settings.Webhook.Shutdown.Delay).Seconds()))
	select {
	case err := <-failed:
		w.log.Error("listener failed", zap.Error(err))
		return cli.ExitFailed
	case <-time.After(time.Duration(w.settings.Webhook.Shutdown.Delay)):
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), webhookDrainTimeout)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		w.log.Error("reviews were cut short", zap.Error(err))
		return cli.ExitFailed
	}
	w.log.Info("stopped")
	return cli.ExitOK
}

// injector reads the defaults, which may have changed.
func (w *webhook) injector() (*inject.Injector, error) {
	injector := newInjector()
	return injector, injector.ReadDefaults(os.DirFS(w.settings.Webhook.Defaults.Dir))
}

// reviewed logs what became of a pod.
func (w *webhook) reviewed(v inject.Verdict, err error) {
	switch {
	case err != nil:
		w.log.Warn("request cannot be answered", zap.Error(err))
	case len(v.Problems) > 0:
		w.log.Warn("pod refused", zap.String("object", safetext.Printable(v.Object)), zap.String("problem", safetext.Printable(strings.Join(v.Problems, "; "))))
	case v.Injected:
		w.log.Info("pod injected", zap.String("object", safetext.Printable(v.Object)))
	default:
		w.log.Debug("pod left alone", zap.String("object", safetext.Printable(v.Object)), zap.String("cause", safetext.Printable(v.Skipped)))
	}
}

// reloaded logs a change of the certificate files.
func (w *webhook) reloaded(err error) {
	if err != nil {
		w.log.Error("certificate files are wrong; the last good ones stay in use", zap.Error(err))
		return
	}
	w.log.Info("certificate reloaded")
}

// webhookDetails is the help with the table of variables.
func webhookDetails() string {
	var out strings.Builder
	out.WriteString(webhookHelp)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, v := range new(config.WebhookSettings).Variables() {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", v.Name, v.Unset, v.Meaning)
	}
	_ = table.Flush() // a strings.Builder takes everything
	return out.String()
}
