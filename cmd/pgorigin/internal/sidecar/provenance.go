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

// trustOf logs what an origin verifies, and against which roots.
type trustOf struct{ *origin }

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (t trustOf) MarshalLogObject(out zapcore.ObjectEncoder) error {
	out.AddString("verification", advice.Verification(t.settings))
	zap.Strings("roots", advice.Roots(t.settings, t.dialer.Roots())).AddTo(out)
	return nil
}

// showRoots puts into list, for origins without a CA of their own, where their roots come from.
func (in *instance) showRoots(list []config.Setting) {
	for _, o := range in.origins {
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

// Settings returns the effective settings of p and where each comes from, with what is doubtful about them, or
// every problem.
func Settings(p cli.Process) ([]config.Setting, []config.Warning, []config.Problem) {
	p.Stderr = io.Discard // nothing is served, so nothing is logged
	in, problems := newInstance(p)
	if len(problems) > 0 {
		return nil, nil, problems
	}
	defer in.closeDialers()
	list := in.settings.AllSettings()
	in.showRoots(list)
	return list, in.doubts, nil
}
