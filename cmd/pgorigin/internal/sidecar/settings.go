package sidecar

import (
	"io"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// verification logs what an origin verifies, and against which roots.
type verification struct{ *origin }

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (v verification) MarshalLogObject(out zapcore.ObjectEncoder) error {
	out.AddString("verification", advice.Verification(v.settings))
	zap.Strings("roots", advice.Roots(v.settings, v.dialer.Roots())).AddTo(out)
	return nil
}

// showRoots completes TLS_CA_FILE in list for origins that use the roots of the system: it shows where these
// roots come from.
func (s *Sidecar) showRoots(list []config.Setting) {
	for _, o := range s.origins {
		if o.settings.TLS.CAFile != "" || o.settings.TLS.CAPem != "" {
			continue
		}
		for i := range list {
			if list[i].Origin == o.settings.Name() && list[i].Word == "TLS_CA_FILE" {
				list[i].Unset = strings.Join(advice.Roots(o.settings, o.dialer.Roots()), ", ")
				for _, source := range o.dialer.Roots() {
					if source.Setting != "" {
						list[i].From = source.Setting
					}
				}
			}
		}
	}
}

// Settings returns the effective settings of p, where each comes from, and warnings. If anything is wrong, it
// returns every problem instead.
func Settings(p cli.Process) ([]config.Setting, []config.Warning, []config.Problem) {
	p.Stderr = io.Discard // New may log
	s, problems := New(p)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	defer s.closeUpstreams()
	list := s.settings.AllSettings()
	s.showRoots(list)
	return list, s.warnings, nil
}
