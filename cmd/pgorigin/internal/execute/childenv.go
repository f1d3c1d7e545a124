package execute

import (
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// childEnv returns the variables of the command. libpq and the drivers that read its variables connect to
// pgorigin, without TLS. The variables of pgorigin are not for the command.
func (p *places) childEnv(plan *plan) []string {
	var values []string
	if !plan.keepHost {
		values = []string{"PGHOST=" + p.at[0].Host, "PGPORT=" + p.at[0].Port, "PGSSLMODE=disable"}
	}
	for _, l := range plan.urls {
		place := p.at[slices.Index(plan.origins, l.origin)]
		place.Bridge = l.origin.bridges()
		values = append(values, l.variable+"="+l.url.LeadingTo(place))
	}
	env := slices.DeleteFunc(slices.Clone(plan.child), func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		return strings.HasPrefix(name, config.Prefix) || plan.misleads(name, value) ||
			slices.ContainsFunc(values, func(value string) bool { return strings.HasPrefix(value, name+"=") })
	})
	return append(env, values...)
}

// misleads reports whether libpq could not connect to pgorigin with that variable of the application. It would
// connect to PGHOSTADDR whatever the URL says.
func (p *plan) misleads(name, value string) bool {
	switch {
	case name == "PGHOSTADDR":
		return true
	case p.keepHost:
		return false
	case strings.HasPrefix(name, "PGSSL"), name == "PGGSSENCMODE", name == "PGREQUIRESSL", name == "PGREQUIREPEER":
		return true
	case name == "PGCHANNELBINDING":
		return value == "require"
	case name == "PGREQUIREAUTH":
		return p.origins[0].bridges()
	}
	return false
}
