package sidecar

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/keypair"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/listentls"
)

// listenTLS sets StartTLS of an origin's server, unless LISTEN_TLS is off. An error is about files.
func (s *Sidecar) listenTLS(o *origin) error {
	switch {
	case o.settings.ListensSelfSigned():
		leaf, err := s.selfSigned(o.settings.ListenerNames(), time.Now())
		if err != nil {
			return err
		}
		o.server.StartTLS = listentls.NewServer(leaf.Certificate).Start
	case o.settings.ListensWithFiles():
		reloaded := func(err error) { o.observer.ListenerReloaded(o.shown, err) }
		files := o.settings.Listen
		pair, err := keypair.Open(context.Background(), files.TLSCertFile, files.TLSKeyFile, "", reloaded)
		if err != nil {
			return err
		}
		if err := pair.Usable(); err != nil {
			text := o.settings.Fill("{LISTEN_TLS_CERT_FILE}: clients that verify refuse it: {}", err.Error())
			s.warnings = append(s.warnings, config.Warning{Origin: o.settings.Name(), Text: text})
		}
		o.shown = pair
		o.server.StartTLS = listentls.NewServer(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return pair.Certificate(), nil
		}).Start
		s.status.AddNote(o.settings.NoteName("listener"), o.observer.WatchListener(pair))
	}
	return nil
}

// watchShown looks for changes of the listener's certificate until ctx ends.
func (s *Sidecar) watchShown(ctx context.Context) {
	for _, o := range s.origins {
		if interval := o.settings.TLS.ReloadInterval; o.shown != nil && interval > 0 {
			s.every(ctx, interval, func() bool { o.reloadShown(ctx); return true })
		}
	}
}

// reloadShown reads the files of the listener's certificate again, if there are any. The observer reports changes.
// news reports whether there is a change, or an error.
func (o *origin) reloadShown(ctx context.Context) (news bool) {
	if o.shown == nil {
		return false
	}
	before := o.shown.Leaf()
	return o.shown.Load(ctx) != nil || o.shown.Leaf() != before
}

// selfSigned makes a certificate. All origins have one authority, so they may share a CA file.
func (s *Sidecar) selfSigned(names []string, now time.Time) (*listentls.Leaf, error) {
	if s.authority == nil {
		authority, err := listentls.NewAuthority(now)
		if err != nil {
			return nil, err
		}
		s.authority = authority
	}
	return s.authority.NewLeaf(names, now)
}

// writeCAFiles writes the CA for clients, before any of them is accepted. It reports what went wrong, and returns
// the exit code.
func (s *Sidecar) writeCAFiles(p cli.Process) int {
	var problems []config.Problem
	for _, o := range s.origins {
		path := o.settings.Listen.TLSCAFile
		if path == "" || !o.settings.ListensSelfSigned() {
			continue
		}
		if err := s.authority.WriteFile(path); err != nil {
			problems = append(problems, config.Problem{
				Variable: o.settings.Variable("LISTEN_TLS_CA_FILE"), Value: path, File: true,
				Text: err.Error() + "; expected a path in a folder where pgorigin may write, and no other file there",
			})
		}
	}
	if len(problems) == 0 {
		return cli.ExitOK
	}
	s.closeListeners()
	config.Report(p.Stderr, problems)
	return cli.ExitConfig
}
