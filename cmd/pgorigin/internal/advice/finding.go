package advice

import (
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/safetext"
	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/tlsorigin"
)

// Finding is what went wrong, in words for people. The client's message and hint, the log, the status page
// and check all show the same Finding.
type Finding struct {
	Reason string
	Text   string   // one sentence; fit for a client and a terminal
	Public string   // the same for pages that everybody may read: it names no user and no database
	Cures  []string // sentences that say what to change, the one that most likely works first; may be empty

	Everybody bool // the upstream refuses every login for this, whoever the user is
}

// Cure returns all cures in one text; it is empty without any.
func (f Finding) Cure() string { return strings.Join(f.Cures, " ") }

// Cures turns the errors of one origin into findings, with the names that the origin has for variables. It
// keeps the table of reasons, because a flood of refused clients must not cost a table each.
type Cures struct {
	origin  *config.Origin
	reasons map[string]reason // by word
}

// NewCures returns the cures for o.
func NewCures(o *config.Origin) Cures {
	c := Cures{o, map[string]reason{}}
	for _, r := range reasons() {
		c.reasons[r.Word] = r
	}
	return c
}

// afterWait is the last cure for a client that has waited in vain, if more time might have helped.
const afterWait = "If outages may last longer, raise {UPSTREAM_WAIT} and the connect timeout of the client."

// Find returns what err says. ok is false if err has no reason.
func (c Cures) Find(err error) (found Finding, ok bool) {
	failure, ok := pgwire.AsFailure(err)
	if !ok {
		return Finding{}, false
	}
	var which, value string
	var server *pgwire.ServerError
	waited := false
	switch e := failure.(type) {
	case *tlsorigin.Error:
		which, value, waited = string(e.Case), e.Value, e.Waited > 0 && e.MayPass()
	case *pgwire.Error:
		which, value, server = string(e.Case), e.Value, e.Server
		if e.Case == pgwire.CaseStalePassword || e.Case == pgwire.CasePasswordUnreadable {
			value = c.origin.PasswordSource() // of which pgwire knows nothing
		}
	}
	r := c.reasons[failure.Reason()]
	found = Finding{
		Reason: failure.Reason(), Text: safetext.Printable(failure.Error()),
		Cures: c.cures(failure.Reason(), which, value), Everybody: r.everybody(which),
	}
	if waited {
		found.Cures = append(found.Cures, c.origin.Fill(afterWait))
	}
	if server != nil && server.Forwarded { // other databases of the pooler may have other servers
		found.Everybody = false
	}
	found.Public = found.Text
	if server != nil && !found.Everybody {
		found.Public = r.describe(which)
		if value != "" {
			found.Public += ": " + value
		}
		found.Public += " (SQLSTATE " + safetext.Printable(server.SQLState) + "; the log has its message)"
	}
	return found, true
}

// Plain returns a finding of a reason that no error carries.
func (c Cures) Plain(reason, text string) Finding {
	return Finding{Reason: reason, Text: text, Public: text, Cures: c.cures(reason, "", "")}
}

// cures returns the cures of a case of a reason. value is what the templates name as {}.
func (c Cures) cures(reason, which, value string) []string {
	var filled []string
	for _, template := range c.reasons[reason].cures(which) {
		filled = append(filled, c.origin.Fill(template, value))
	}
	return filled
}

// Hint is what pgwire tells a client below the error itself: the cures. It is empty without one.
func (c Cures) Hint(err error) string {
	found, _ := c.Find(err)
	return found.Cure()
}
