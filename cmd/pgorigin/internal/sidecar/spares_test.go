package sidecar

import (
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cmdtest"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

func TestTooManySparesAreDoubtful(t *testing.T) {
	for settings, want := range map[string]string{
		"WARM_SPARES=5 MAX_SESSIONS=50": "",
		"WARM_SPARES=5":                 "",
		"WARM_SPARES=1 MAX_SESSIONS=3":  "",
		"WARM_SPARES=5 MAX_SESSIONS=49": "PGORIGIN_WARM_SPARES=5 is more than a tenth of PGORIGIN_MAX_SESSIONS=49",
	} {
		env := []string{cmdtest.Upstream}
		for setting := range strings.FieldsSeq(settings) {
			env = append(env, config.Prefix+setting)
		}
		s, _, problems := config.Load(env)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		warnings := s.Warnings()
		if want == "" && len(warnings) > 0 || want != "" && (len(warnings) != 1 || !strings.HasPrefix(warnings[0].Text, want)) {
			t.Errorf("%s: warnings %v, want %q", settings, warnings, want)
		}
	}
}
