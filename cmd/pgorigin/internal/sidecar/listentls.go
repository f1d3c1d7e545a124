package sidecar

import (
	"net"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/listentls"
)

// listenTLS returns what makes TLS connections for the clients of an origin, for pgwire.Server. It is nil if
// clients get none. All origins have one authority, so they may share a CA file.
func (s *Sidecar) listenTLS(o *config.Origin) (func(net.Conn, bool) (net.Conn, error), error) {
	if !o.ListensSelfSigned() {
		return nil, nil
	}
	now := time.Now()
	if s.authority == nil {
		authority, err := listentls.NewAuthority(now)
		if err != nil {
			return nil, err
		}
		s.authority = authority
	}
	leaf, err := s.authority.NewLeaf(o.ListenerNames(), now)
	if err != nil {
		return nil, err
	}
	return listentls.NewServer(leaf.Certificate).Start, nil
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
