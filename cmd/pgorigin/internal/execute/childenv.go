package execute

import (
	"slices"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// childEnv returns the variables of the command. libpq and the drivers that read its variables connect to
// pgorigin, without TLS. PGSSLMODE also counts for URLs of other servers, so it changes only if libpq would
// refuse pgorigin: without it, libpq tries TLS first. The variables of pgorigin are not for the command.
func (p *places) childEnv(plan *plan) []string {
	var values []string
	if !plan.keepHost {
		values = []string{"PGHOST=" + p.at[0].Host, "PGPORT=" + p.at[0].Port}
		if needsTLS(plan.child) {
			values = append(values, "PGSSLMODE=disable")
		}
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
// connect to PGHOSTADDR whatever the URL says. All that may secure connections to other servers stays.
func (p *plan) misleads(name, value string) bool {
	switch name {
	case "PGHOSTADDR":
		return true
	case "PGCHANNELBINDING":
		return value == "require"
	case "PGREQUIREAUTH":
		return p.origins[0].bridges()
	case "PGSSLROOTCERT":
		return value == "system" && !p.keepHost
	case "PGSSLNEGOTIATION", "PGREQUIRESSL", "PGREQUIREPEER":
		return !p.keepHost
	case "PGGSSENCMODE":
		return value == "require" && !p.keepHost
	}
	return false
}
