package execute

import (
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// childEnv returns the variables of the command. libpq and the drivers that read its variables connect to
// pgorigin, without TLS. The variables of pgorigin are not for the command.
func (p *places) childEnv(plan *plan) []string {
	values := []string{
		"PGHOST=" + p.at[0].Host, "PGPORT=" + p.at[0].Port, "PGSSLMODE=disable", "PGGSSENCMODE=disable",
	}
	for _, l := range plan.urls {
		place := p.at[slices.Index(plan.origins, l.origin)]
		place.Bridge = l.origin.bridges()
		values = append(values, l.variable+"="+l.url.LeadingTo(place))
	}
	bridge := plan.origins[0].bridges()
	env := slices.DeleteFunc(slices.Clone(plan.child), func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(name, config.Prefix), strings.HasPrefix(name, "PGSSL"), name == "PGHOSTADDR",
			name == "PGREQUIRESSL", name == "PGREQUIREPEER":
			return true
		case name == "PGCHANNELBINDING":
			return value == "require"
		case name == "PGREQUIREAUTH":
			return bridge
		}
		return slices.ContainsFunc(values, func(value string) bool { return strings.HasPrefix(value, name+"=") })
	})
	return append(env, values...)
}
